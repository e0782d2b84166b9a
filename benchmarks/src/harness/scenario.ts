/**
 * What a scenario is: a question, and cells. A cell is one contestant with one set of parameters; it is run several times,
 * each time in a process and a folder of its own.
 */
import type { Profile } from './profile.js'

export type Parameters = Readonly<Record<string, number | string>>

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
  /** A part of the run that needs a process of its own. */
  readonly phase?: string
}

export type Measures = Readonly<Record<string, number>>

export interface RunResult {
  readonly measures: Measures
  /** The same measures second by second. */
  readonly series?: readonly Measures[]
}

export interface Plot {
  /** Of the file, behind the scenario's name. */
  readonly name: string
  readonly title: string
  /** Parameter, or with `series` a measure of the series, on the horizontal axis. */
  readonly x: string
  readonly y: string
  readonly yTitle: string
  /** Default: both. */
  readonly logarithmic?: 'both' | 'y' | 'none'
  /** Only cells with these parameters. */
  readonly where?: Parameters
  /** Drawn from the series of each cell instead of its medians. */
  readonly series?: boolean
}

export interface Column {
  readonly measure: string
  readonly title: string
}

export interface CellContext {
  readonly profile: Profile
  readonly flushDelayMs: number
  /** The group size that was found to be the best one for a contestant that makes groups in our loop. */
  readonly batchFor: (contestant: string, parameters: Parameters) => number
}

export interface Scenario {
  readonly name: string
  readonly question: string
  readonly workload: string
  readonly durability: string
  /** How long runs take besides the measured time and starting a process, for the estimate. */
  readonly extraSeconds?: (cell: Cell, profile: Profile, flushDelayMs: number) => number
  /** Runs that take long are repeated less often, unless a number of repetitions is asked for. */
  readonly repetitions?: (usual: number) => number
  /** Also measured with slowed flushes. */
  readonly slowed?: boolean
  readonly cells: (context: CellContext) => readonly Cell[]
  readonly run: (spec: RunSpec) => Promise<RunResult>
  /** Parts of runs that need a process of their own. */
  readonly phases?: Readonly<Record<string, (spec: RunSpec) => Promise<RunResult>>>
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
