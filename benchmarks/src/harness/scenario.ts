/**
 * What a scenario is: a question, and cells. A cell is one contestant with one set of parameters; it is run several times,
 * each time in a process and a folder of its own.
 */
import type { Profile } from './profile.js'

export type Parameters = Readonly<Record<string, number | string>>

/** A parameter that is tried out: the report shows the value that was fastest. */
export const SWEPT = 'batch'

export interface Cell {
  /** Name of a contestant. */
  readonly contestant: string
  readonly parameters: Parameters
}

/** Everything that one run is told. */
export interface RunSpec extends Cell {
  readonly scenario: string
  /** Empty, on the disk that is measured. */
  readonly folder: string
  readonly profile: Profile
  /** By how much every flush is slowed. */
  readonly flushDelayMs: number
}

export type Measures = Readonly<Record<string, number>>

export interface RunResult {
  readonly measures: Measures
  /** The same measures second by second. */
  readonly series?: readonly Measures[]
}

export interface Plot {
  readonly title: string
  /** Parameter, or with `series` a measure of the series, on the horizontal axis. */
  readonly x: string
  readonly xTitle: string
  readonly y: string
  readonly yTitle: string
  readonly logarithmic?: 'x' | 'y' | 'xy' | 'none'
  /** Only cells with these parameters. */
  readonly where?: Parameters
  /** Drawn from the series of each cell instead of its medians. */
  readonly series?: boolean
}

export interface Column {
  readonly measure: string
  readonly title: string
}

export interface Scenario {
  readonly name: string
  readonly question: string
  readonly workload: string
  readonly durability: string
  /** About how long a run takes besides `seconds` of the profile, for the estimate. */
  readonly extraSeconds?: number
  /** Runs take long: fewer repetitions than asked for. */
  readonly repetitions?: (asked: number) => number
  /** Also measured with slowed flushes, unless that is not asked for. */
  readonly slowed?: boolean
  readonly cells: (profile: Profile, flushDelayMs: number) => readonly Cell[]
  readonly run: (spec: RunSpec) => Promise<RunResult>
  readonly columns: readonly Column[]
  readonly plots: readonly Plot[]
}

/** All combinations of the values. */
export function combinations(
  values: Readonly<Record<string, readonly (number | string)[]>>,
): readonly Parameters[] {
  return Object.entries(values).reduce<readonly Parameters[]>(
    (all, [name, list]) => all.flatMap((one) => list.map((value) => ({ ...one, [name]: value }))),
    [{}],
  )
}

export function numberOf(parameters: Parameters, name: string, otherwise?: number): number {
  const value = parameters[name] ?? otherwise
  if (typeof value !== 'number') throw new TypeError(`the parameter ${name} is missing`)
  return value
}
