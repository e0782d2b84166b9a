import { choose } from '../harness/profile.js'
import type { RunSpec, Scenario } from '../harness/scenario.js'
import { distinctKeys, measureWrites, settingsOf } from '../harness/writes.js'
import { ALL, cellsOf, DURABLE, OVER_CALLERS, others, someCallers, WRITE_COLUMNS } from './common.js'

/** What 4 KiB contents may take of the backlog's bound (256 MiB). */
const BURST_BYTES_MAX = 160 * 1024 * 1024

export const distinct: Scenario = {
  name: 'distinct',
  question:
    'How fast is a burst of writes to keys that are new, and how fast with the work that it puts off?',
  workload:
    'callers write new keys one after another, spread over 8 namespaces, until the burst has its size or the time is over. Then what was put off is done: the files (agent-state), the checkpoint (sqlite), the compaction (level)',
  durability: DURABLE,
  slowed: true,
  extraSeconds: 2,
  cells: (profile, flushDelayMs) => {
    const callers = someCallers(profile)
    if (flushDelayMs > 0) return cellsOf(profile, ALL, { valueBytes: [256], callers })
    return [
      ...cellsOf(profile, OVER_CALLERS, { valueBytes: [256], callers: profile.callers }),
      ...cellsOf(profile, others(OVER_CALLERS), { valueBytes: [256], callers: [1, ...callers] }),
      ...cellsOf(profile, ALL, { valueBytes: choose(profile, [4096], []), callers }),
    ]
  },
  run: (spec) => {
    const { namespaces } = settingsOf(spec.parameters)
    return measureWrites(spec, { places: distinctKeys(namespaces), operationsMax: burstOperations(spec) })
  },
  columns: WRITE_COLUMNS,
  plots: [
    {
      title: 'Burst of distinct keys, 256 B: writes a second',
      where: { valueBytes: 256 },
      x: 'callers',
      xTitle: 'callers',
      y: 'perSecond',
      yTitle: 'writes/s',
    },
    {
      title: 'Burst of distinct keys, 256 B: 99th percentile',
      where: { valueBytes: 256 },
      x: 'callers',
      xTitle: 'callers',
      y: 'p99Us',
      yTitle: 'µs',
    },
  ],
}

/** Each file is synced by itself, so that what a burst puts off takes long where flushes are slow. */
function burstOperations({ profile, parameters, flushDelayMs }: RunSpec): number {
  const most = Math.min(
    profile.burstOperations,
    Math.floor(BURST_BYTES_MAX / settingsOf(parameters).valueBytes),
  )
  return flushDelayMs === 0 ? most : Math.ceil(most / (10 * flushDelayMs))
}
