import type { Scenario } from '../harness/scenario.js'
import { hotKeys, measureWrites, settingsOf } from '../harness/writes.js'
import { DURABLE, mainCells, WRITE_COLUMNS } from './common.js'

export const HOT_KEYS = 100

export const hotSet: Scenario = {
  name: 'hot-set',
  question: 'How fast are the same few keys written again and again, by everybody?',
  workload:
    'callers each write one of 100 keys, drawn at random, one write after another; the keys are spread over 8 namespaces. Almost every write finds that somebody else wrote last: a conflict, which agent-state reports with each of these writes',
  durability: DURABLE,
  slowed: true,
  cells: mainCells,
  run: (spec) => measureWrites(spec, { places: hotKeys(settingsOf(spec.parameters).namespaces, HOT_KEYS) }),
  columns: WRITE_COLUMNS,
  plots: [
    {
      name: 'throughput',
      title: 'Hot set of 100 keys, 256 B',
      where: { valueBytes: 256 },
      x: 'callers',
      y: 'perSecond',
      yTitle: 'writes/s',
    },
    {
      name: 'p99',
      title: 'Hot set of 100 keys, 256 B: 99th percentile',
      where: { valueBytes: 256 },
      x: 'callers',
      y: 'p99Us',
      yTitle: 'µs',
    },
  ],
}
