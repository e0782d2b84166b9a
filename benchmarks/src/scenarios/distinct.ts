import type { Cell, RunSpec, Scenario } from '../harness/scenario.js'
import { distinctKeys, measureWrites, settingsOf, warmUpKeys } from '../harness/writes.js'
import type { Profile } from '../harness/profile.js'
import { DURABLE, mainCells, someCallers, WRITE_COLUMNS } from './common.js'

/** Of what 4 KiB contents take: well below the bound of the backlog (256 MiB). */
const BURST_BYTES_MAX = 160 * 1024 * 1024
const WRITES_A_CALLER_MIN = 20
/** How much longer than usual a burst may take with slowed flushes. */
const SLOWED_FACTOR = 20
const SYNC_EACH = ['sqlite', 'origin']

export const distinct: Scenario = {
  name: 'distinct',
  question:
    'How fast is a burst of writes to keys that are new, and how fast with the work that it puts off?',
  workload:
    'callers write new keys one after another, spread over 8 namespaces, until the burst has its size or the time is over. With drain: until what was put off is done, too (the files of agent-state, the checkpoint of sqlite, the compaction of level)',
  durability: DURABLE,
  slowed: true,
  extraSeconds: lastingSeconds,
  cells: mainCells,
  run: (spec) => {
    const { namespaces } = settingsOf(spec.parameters)
    return measureWrites(spec, {
      places: distinctKeys(namespaces),
      warmUpPlaces: warmUpKeys(namespaces),
      operationsMax: burstOperations(spec),
      seconds: secondsMax(spec),
    })
  },
  columns: WRITE_COLUMNS,
  plots: [
    {
      name: 'throughput',
      title: 'Burst of distinct keys, 256 B',
      where: { valueBytes: 256 },
      x: 'callers',
      y: 'perSecond',
      yTitle: 'writes/s',
    },
    {
      name: 'with-drain',
      title: 'Burst of distinct keys, 256 B, with the work that was put off',
      where: { valueBytes: 256 },
      x: 'callers',
      y: 'perSecondWithDrain',
      yTitle: 'writes/s',
    },
    {
      name: 'p99',
      title: 'Burst of distinct keys, 256 B: 99th percentile',
      where: { valueBytes: 256 },
      x: 'callers',
      y: 'p99Us',
      yTitle: 'µs',
    },
  ],
}

/**
 * Each file is synced by itself, so that what a burst puts off takes long where flushes are slow; and it is shorter where
 * it only shows another number of callers. Every caller has enough writes for groups to form as they do in the long run.
 */
function burstOperations({
  profile,
  parameters,
  flushDelayMs,
}: Pick<RunSpec, 'profile' | 'parameters' | 'flushDelayMs'>): number {
  const { valueBytes, callers } = settingsOf(parameters)
  const most = Math.min(profile.burstOperations, Math.floor(BURST_BYTES_MAX / valueBytes))
  const least = callers * WRITES_A_CALLER_MIN
  if (flushDelayMs > 0) return Math.max(least, Math.ceil(most / (10 * flushDelayMs)))
  return Math.max(least, someCallers(profile).includes(callers) ? most : Math.ceil(most / 5))
}

/** Those that sync every write by itself need longer for a burst where flushes are slow. */
function secondsMax({ profile, flushDelayMs }: Pick<RunSpec, 'profile' | 'flushDelayMs'>): number {
  return flushDelayMs > 0 ? SLOWED_FACTOR * profile.seconds : profile.seconds
}

/** Of syncing every write by itself, and of bringing every key into its file; both were measured with these delays. */
function lastingSeconds({ contestant, parameters }: Cell, profile: Profile, flushDelayMs: number): number {
  const operations = burstOperations({ profile, parameters, flushDelayMs })
  if (contestant === 'agent-state') return (operations * Math.max(1, 1.7 * flushDelayMs)) / 1000
  if (flushDelayMs === 0 || !SYNC_EACH.includes(contestant)) return 0
  return Math.min(secondsMax({ profile, flushDelayMs }), (operations * (flushDelayMs + 1)) / 1000)
}
