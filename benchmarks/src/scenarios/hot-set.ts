import { choose } from '../harness/profile.js'
import type { Scenario } from '../harness/scenario.js'
import { hotKeys, measureWrites, settingsOf } from '../harness/writes.js'
import { ALL, cellsOf, DURABLE, OVER_CALLERS, others, someCallers, WRITE_COLUMNS } from './common.js'

export const HOT_KEYS = 100

export const hotSet: Scenario = {
  name: 'hot-set',
  question: 'How fast are the same few keys written again and again, by everybody?',
  workload:
    'callers each write one of 100 keys, drawn at random, one write after another; the keys are spread over 8 namespaces. Almost every write finds another writer: a conflict, which agent-state reports with each of these writes',
  durability: DURABLE,
  slowed: true,
  extraSeconds: 1,
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
    return measureWrites(spec, { places: hotKeys(namespaces, HOT_KEYS) })
  },
  columns: WRITE_COLUMNS,
  plots: [
    {
      title: 'Hot set of 100 keys, 256 B: writes a second',
      where: { valueBytes: 256 },
      x: 'callers',
      xTitle: 'callers',
      y: 'perSecond',
      yTitle: 'writes/s',
    },
    {
      title: 'Hot set of 100 keys, 256 B: 99th percentile',
      where: { valueBytes: 256 },
      x: 'callers',
      xTitle: 'callers',
      y: 'p99Us',
      yTitle: 'µs',
    },
  ],
}
