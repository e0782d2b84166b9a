import type { Cell, RunSpec, Scenario } from '../harness/scenario.js'
import { distinctKeys, measureWrites, settingsOf } from '../harness/writes.js'
import type { Profile } from '../harness/profile.js'
import { DURABLE, mainCells, someCallers, WRITE_COLUMNS } from './common.js'

/** Of what 4 KiB contents take: well below the bound of the backlog (256 MiB). */
const BURST_BYTES_MAX = 160 * 1024 * 1024

export const distinct: Scenario = {
  name: 'distinct',
  question:
    'How fast is a burst of writes to keys that are new, and how fast with the work that it puts off?',
  workload:
    'callers write new keys one after another, spread over 8 namespaces, until the burst has its size or the time is over. With drain: until what was put off is done, too (the files of agent-state, the checkpoint of sqlite, the compaction of level)',
  durability: DURABLE,
  slowed: true,
  extraSeconds: drainSeconds,
  cells: mainCells,
  run: (spec) => {
    const { namespaces } = settingsOf(spec.parameters)
    return measureWrites(spec, { places: distinctKeys(namespaces), operationsMax: burstOperations(spec) })
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
 * it only shows another number of callers.
 */
function burstOperations({
  profile,
  parameters,
  flushDelayMs,
}: Pick<RunSpec, 'profile' | 'parameters' | 'flushDelayMs'>): number {
  const { valueBytes, callers } = settingsOf(parameters)
  const most = Math.min(profile.burstOperations, Math.floor(BURST_BYTES_MAX / valueBytes))
  if (flushDelayMs > 0) return Math.ceil(most / (10 * flushDelayMs))
  return someCallers(profile).includes(callers) ? most : Math.ceil(most / 5)
}

/** On a disk of about 1 ms a flush, 1,000 keys a second get their files. */
function drainSeconds({ contestant, parameters }: Cell, profile: Profile): number {
  if (contestant !== 'agent-state') return 0
  const operations = burstOperations({ profile, parameters, flushDelayMs: 0 })
  return operations / 1000
}
