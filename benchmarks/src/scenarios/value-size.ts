import { choose } from '../harness/profile.js'
import type { Scenario } from '../harness/scenario.js'
import { hotKeys, measureWrites, settingsOf } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING, WRITE_COLUMNS } from './common.js'
import { HOT_KEYS } from './hot-set.js'

const KIB = 1024

export const valueSize: Scenario = {
  name: 'value-size',
  question: 'How does it go on with larger contents?',
  workload: '64 callers, a hot set of 100 keys in 8 namespaces, contents from 256 B to 1 MiB',
  durability: DURABLE,
  extraSeconds: () => 0.5,
  cells: (context) => {
    const sizes = choose(context.profile, [256, 4 * KIB, 64 * KIB, KIB * KIB], [4 * KIB, 64 * KIB, KIB * KIB])
    return cellsOf(context, LEADING, { valueBytes: sizes, callers: [64] })
  },
  run: (spec) => measureWrites(spec, { places: hotKeys(settingsOf(spec.parameters).namespaces, HOT_KEYS) }),
  columns: WRITE_COLUMNS,
  plots: [
    {
      name: 'throughput',
      title: 'Value size, 64 callers',
      x: 'valueBytes',
      y: 'perSecond',
      yTitle: 'writes/s',
    },
    {
      name: 'p99',
      title: 'Value size, 64 callers: 99th percentile',
      x: 'valueBytes',
      y: 'p99Us',
      yTitle: 'µs',
    },
  ],
}
