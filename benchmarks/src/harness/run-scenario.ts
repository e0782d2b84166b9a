/** All runs of one scenario: round after round, the cells of each round in random order. */
import type { MachineFacts } from '../../../dist/bench/machine.js'
import { contestantOf } from '../contestants/index.js'
import { removeAll } from './leftovers.js'
import { randomNumbers, shuffled } from './random.js'
import { collectRuns, rounded, type Results } from './results.js'
import { runCell, type RunSettings } from './run-cell.js'
import type { Cell, Measures, RunResult, Scenario } from './scenario.js'

export interface ScenarioSettings extends Omit<RunSettings, 'scenario'> {
  readonly scenario: Scenario
  readonly cells: readonly Cell[]
  readonly repetitions: number
  readonly seed: number
  readonly machine: MachineFacts
  readonly commit: string
  /** Called before each run. */
  readonly onRun: (cell: Cell, done: number, total: number) => void
  /** Called after each round, with everything so far. */
  readonly onRound: (results: Results) => Promise<void>
}

export async function runScenario(settings: ScenarioSettings): Promise<Results> {
  const { scenario, cells, repetitions, seed, signal, onRun, onRound } = settings
  const random = randomNumbers(seed)
  const runs = new Map<Cell, RunResult[]>(cells.map((cell) => [cell, []]))
  const failures: string[] = []
  const startedAt = new Date().toISOString()
  const total = cells.length * repetitions
  let done = 0
  let results = collected(false)
  try {
    for (let round = 0; round < repetitions; round++) {
      for (const cell of shuffled(cells, random)) {
        onRun(cell, done++, total)
        try {
          runs.get(cell)!.push(await runCell(cell, { ...settings, scenario: scenario.name }))
        } catch (error) {
          signal.throwIfAborted()
          failures.push(error instanceof Error ? error.message : String(error))
        }
      }
      results = collected(round === repetitions - 1)
      await onRound(results)
    }
  } finally {
    await removeAll(settings.root)
  }
  return results

  function collected(isComplete: boolean): Results {
    const { name, question, workload, durability } = scenario
    const { profile, machine, commit, flushDelayMs } = settings
    const names = new Set(cells.map(({ contestant }) => contestant))
    return {
      ...{ scenario: name, question, workload, durability, flushDelayMs, profile: profile.name, repetitions },
      ...{ commit, startedAt, endedAt: new Date().toISOString(), isComplete, seed, machine },
      contestants: Object.fromEntries(
        [...names].map((contestant) => [contestant, contestantOf(contestant).about]),
      ),
      cells: cells.map((cell) => {
        const series = runs.get(cell)?.[0]?.series
        return {
          ...cell,
          runs: collectRuns(runs.get(cell)!),
          ...(series === undefined ? {} : { series: series.map(roundedAll) }),
        }
      }),
      failures: [...failures],
    }
  }
}

function roundedAll(measures: Measures): Measures {
  return Object.fromEntries(Object.entries(measures).map(([name, value]) => [name, rounded(value)]))
}
