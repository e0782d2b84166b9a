/** The results of one scenario, as they are kept: one file, every run in it. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import type { MachineFacts } from '../../../dist/bench/machine.js'
import type { Measures, Parameters, RunResult } from './scenario.js'

export const RESULTS = fileURLToPath(new URL('../../results/', import.meta.url))

export interface CellResult {
  readonly contestant: string
  readonly parameters: Parameters
  /** Every run, in order, by measure. */
  readonly runs: Readonly<Record<string, readonly number[]>>
  /** Of the first run. */
  readonly series?: readonly Measures[]
}

export interface Results {
  readonly scenario: string
  readonly question: string
  readonly workload: string
  readonly durability: string
  readonly flushDelayMs: number
  readonly profile: string
  readonly repetitions: number
  readonly commit: string
  readonly startedAt: string
  readonly endedAt: string
  /** All rounds were run. */
  readonly isComplete: boolean
  readonly seed: number
  readonly machine: MachineFacts
  readonly contestants: Readonly<Record<string, string>>
  readonly cells: readonly CellResult[]
  /** Runs that failed, with the reason. */
  readonly failures: readonly string[]
}

export function resultsName(scenario: string, flushDelayMs: number): string {
  return flushDelayMs === 0 ? scenario : `${scenario}-${flushDelayMs}ms`
}

/** Four digits are more than any of this is sure of. */
const DIGITS = 4

export function collectRuns(runs: readonly RunResult[]): Record<string, number[]> {
  const collected: Record<string, number[]> = {}
  for (const { measures } of runs) {
    for (const [name, value] of Object.entries(measures)) {
      if (Number.isFinite(value)) (collected[name] ??= []).push(rounded(value))
    }
  }
  return collected
}

export function rounded(value: number): number {
  return Number(value.toPrecision(Math.max(DIGITS, Math.ceil(Math.log10(Math.abs(value) + 1)))))
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spreadOf(numbers: readonly number[] | undefined): Spread | null {
  if (numbers === undefined || numbers.length === 0) return null
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2
  return {
    median: sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : median,
    min: sorted[0]!,
    max: sorted.at(-1)!,
  }
}

export function medianOf(cell: CellResult, measure: string): number | null {
  return spreadOf(cell.runs[measure])?.median ?? null
}

export async function readResults(folder: string, name: string): Promise<Results | null> {
  try {
    return JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Results
  } catch {
    return null
  }
}

/** Whole or not at all, in the form that the repository's files have. */
export async function writeFormatted(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  const config = await resolveConfig(path)
  await writeFile(`${path}.new`, await format(text, { ...config, filepath: path }))
  await rename(`${path}.new`, path)
}

export async function writeResults(folder: string, results: Results): Promise<void> {
  const name = resultsName(results.scenario, results.flushDelayMs)
  await writeFormatted(join(folder, `${name}.json`), JSON.stringify(results))
}
