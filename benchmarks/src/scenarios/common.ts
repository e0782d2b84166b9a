import { CONTESTANTS } from '../contestants/index.js'
import { choose, type Profile } from '../harness/profile.js'
import {
  combinations,
  type Cell,
  type CellContext,
  type Column,
  type Parameters,
} from '../harness/scenario.js'

export const DURABLE = 'acknowledged = synced to the device, for every contestant'

export const ALL = CONTESTANTS.map(({ name }) => name)

/** Measured where many parameters are gone through: this library, both floors, and the fastest setting of each rival. */
export const LEADING = [
  'agent-state',
  'floor',
  'floor in place',
  'lmdb batched',
  'sqlite batched',
  'level batched',
]

/** Contestants of the main scenarios, fast enough to be interesting at all numbers of callers, and the baseline. */
export const OVER_CALLERS = [...LEADING, 'origin']

/** The numbers of callers that most is measured with. */
export function someCallers(profile: Profile): readonly number[] {
  return profile.name === 'tiny' ? [8] : choose(profile, [64, 256], [64])
}

type Values = Readonly<Record<string, readonly (number | string)[]>>

/** All combinations of contestants and values; those that make groups in our loop get their best group size. */
export function cellsOf({ batchFor }: CellContext, contestants: readonly string[], values: Values): Cell[] {
  return CONTESTANTS.filter(({ name }) => contestants.includes(name)).flatMap(({ name, batched }) =>
    combinations(values).map((parameters) => ({
      contestant: name,
      parameters: batched === true ? { ...parameters, batch: batchFor(name, parameters) } : parameters,
    })),
  )
}

/** The cells of the two main scenarios; slow contestants are measured with fewer parameters. */
export function mainCells(context: CellContext): Cell[] {
  const { profile, flushDelayMs } = context
  const many = someCallers(profile)
  const few = many.slice(0, 1)
  if (flushDelayMs > 0) {
    return [
      ...cellsOf(context, [...LEADING, 'lmdb'], { valueBytes: [256], callers: many }),
      ...cellsOf(context, ['sqlite', 'origin'], { valueBytes: [256], callers: few }),
    ]
  }
  return [
    ...cellsOf(context, OVER_CALLERS, { valueBytes: [256], callers: profile.callers }),
    ...cellsOf(context, ['sqlite', 'lmdb'], { valueBytes: [256], callers: [1, ...few] }),
    ...cellsOf(context, ['lmdb'], { valueBytes: [256], callers: many.slice(1) }),
    ...cellsOf(context, ['sqlite batched + writer', 'write-file-atomic'], {
      valueBytes: [256],
      callers: many,
    }),
    ...cellsOf(context, ['keyv', 'bare files'], { valueBytes: [256], callers: few }),
    ...cellsOf(context, [...OVER_CALLERS, 'lmdb'], {
      valueBytes: choose(profile, [4096], []),
      callers: many,
    }),
  ]
}

/** Of a plot or a table: cells with these parameters. */
export function fits(parameters: Parameters, where: Parameters = {}): boolean {
  return Object.entries(where).every(([name, value]) => parameters[name] === value)
}

export const RATE_COLUMNS: readonly Column[] = [
  { measure: 'perSecond', title: 'writes/s' },
  { measure: 'p50Us', title: 'p50 µs' },
  { measure: 'p99Us', title: 'p99 µs' },
  { measure: 'p999Us', title: 'p99.9 µs' },
]

export const WRITE_COLUMNS: readonly Column[] = [
  ...RATE_COLUMNS,
  { measure: 'perSecondWithDrain', title: 'writes/s with drain' },
  { measure: 'flushes', title: 'flushes a write' },
  { measure: 'flushesWithDrain', title: '… with drain' },
  { measure: 'cpuUs', title: 'CPU µs a write' },
  { measure: 'cpuUsWithDrain', title: '… with drain' },
  { measure: 'writtenBytes', title: 'bytes written a write' },
  { measure: 'diskBytes', title: 'disk bytes a write' },
  { measure: 'diskBytesInAll', title: 'disk bytes in all' },
  { measure: 'memoryMiB', title: 'peak memory MiB' },
]
