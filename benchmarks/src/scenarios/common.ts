import { CONTESTANTS } from '../contestants/index.js'
import { choose, type Profile } from '../harness/profile.js'
import { combinations, numberOf, type Cell, type Column, type Parameters } from '../harness/scenario.js'

export const DURABLE = 'acknowledged = synced to the device, for every contestant'

export const ALL = CONTESTANTS.map(({ name }) => name)

/** Shown over every number of callers. */
export const OVER_CALLERS = [
  'agent-state',
  'floor',
  'lmdb batched',
  'sqlite batched',
  'level batched',
  'origin',
]

/** Measured where many parameters are gone through. */
export const LEADING = ['agent-state', 'floor', 'lmdb batched', 'sqlite batched', 'level batched']

export function others(names: readonly string[]): string[] {
  return ALL.filter((name) => !names.includes(name))
}

/** The numbers of callers that everything is measured with. */
export function someCallers(profile: Profile): readonly number[] {
  return choose(profile, [64, 256], [64])
}

/** All cells of the contestants; those that group by themselves are tried with several group sizes. */
export function cellsOf(
  profile: Profile,
  contestants: readonly string[],
  values: Readonly<Record<string, readonly (number | string)[]>>,
): Cell[] {
  return CONTESTANTS.filter(({ name }) => contestants.includes(name)).flatMap(({ name, batched }) =>
    combinations(values).flatMap((parameters) =>
      (batched === true ? withBatches(profile, parameters) : [parameters]).map((one) => ({
        contestant: name,
        parameters: one,
      })),
    ),
  )
}

/** A group of all callers, or a quarter of them, so that the next ones gather meanwhile. */
function withBatches(profile: Profile, parameters: Parameters): readonly Parameters[] {
  const callers = numberOf(parameters, 'callers')
  const sizes = new Set(choose(profile, [callers, Math.ceil(callers / 4)], [callers]))
  return [...sizes].map((batch) => ({ ...parameters, batch }))
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
  { measure: 'memoryMiB', title: 'peak memory MiB' },
]
