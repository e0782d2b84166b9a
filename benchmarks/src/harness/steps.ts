/** What is to be run: scenarios with their cells, how often, and about how long that takes. */
import { contestantOf } from '../contestants/index.js'
import { bestBatches } from '../scenarios/batches.js'
import { SCENARIOS } from '../scenarios/index.js'
import type { Profile } from './profile.js'
import { resultsName, type Results } from './results.js'
import type { Cell, Scenario } from './scenario.js'

export interface Step {
  readonly scenario: Scenario
  readonly flushDelayMs: number
  readonly cells: readonly Cell[]
  readonly repetitions: number
  readonly estimateSeconds: number
}

export interface Selection {
  readonly profile: Profile
  /** Set if it was asked for; otherwise scenarios may take less than usual. */
  readonly repetitions?: number | undefined
  readonly only?: readonly string[] | undefined
  readonly contestants?: readonly string[] | undefined
  readonly rivals: boolean
  /** For all scenarios; otherwise only those are slowed that are meant to be. */
  readonly flushDelaysMs?: readonly number[] | undefined
}

const DELAYS_MS = [0, 1, 5]
/** Starting a process, opening, removing the folder. */
const RUN_OVERHEAD_SECONDS = 0.45

/** Scenarios with the delays that they are run with, in order. */
export function planOf({ only, flushDelaysMs }: Selection): { scenario: Scenario; flushDelayMs: number }[] {
  const unknown = only?.find((name) => !SCENARIOS.some((scenario) => scenario.name === name))
  if (unknown !== undefined) throw new TypeError(`there is no scenario ${unknown}`)
  return SCENARIOS.filter(({ name }) => only?.includes(name) ?? true).flatMap((scenario) =>
    (flushDelaysMs ?? (scenario.slowed === true ? DELAYS_MS : [0])).map((flushDelayMs) => ({
      scenario,
      flushDelayMs,
    })),
  )
}

/** `batches`: what was found to be the best group sizes so far. */
export function stepOf(
  scenario: Scenario,
  flushDelayMs: number,
  { profile, repetitions: asked, contestants, rivals }: Selection,
  batches: Results | null,
): Step {
  const cells = scenario
    .cells({ profile, flushDelayMs, batchFor: bestBatches(batches, flushDelayMs) })
    .filter(({ contestant }) => contestants?.includes(contestant) ?? true)
    .filter(({ contestant }) => rivals || contestantOf(contestant).rival === undefined)
  const repetitions = asked ?? scenario.repetitions?.(profile.repetitions) ?? profile.repetitions
  const usual = profile.seconds + profile.warmUpSeconds + RUN_OVERHEAD_SECONDS
  const round = cells.reduce(
    (sum, cell) => sum + usual + (scenario.extraSeconds?.(cell, profile, flushDelayMs) ?? 0),
    0,
  )
  return { scenario, flushDelayMs, cells, repetitions, estimateSeconds: round * repetitions }
}

export function describeSteps(steps: readonly Step[]): string {
  const lines = steps.map(
    ({ scenario, flushDelayMs, cells, repetitions, estimateSeconds }) =>
      `${resultsName(scenario.name, flushDelayMs)}: ${cells.length} cells, ${repetitions} times, ${inMinutes(estimateSeconds)}`,
  )
  const all = steps.reduce((sum, { estimateSeconds }) => sum + estimateSeconds, 0)
  return `${lines.join('\n')}\nin all about ${inMinutes(all)}\n`
}

export function inMinutes(seconds: number): string {
  return `${(seconds / 60).toFixed(1)} minutes`
}
