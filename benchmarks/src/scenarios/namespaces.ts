import { choose } from '../harness/profile.js'
import { randomNumbers } from '../harness/random.js'
import type { Scenario } from '../harness/scenario.js'
import { measureWrites, settingsOf, type Places } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING, someCallers, WRITE_COLUMNS } from './common.js'

const KEYS = 1000

export const namespaces: Scenario = {
  name: 'namespaces',
  question: 'What do many namespaces cost?',
  workload:
    '256 callers (quick: 64), each at home in one namespace or, where there are more namespaces than callers, in a few; 1,000 keys in all, drawn at random, 256 B',
  durability: DURABLE,
  cells: (context) => {
    const { profile } = context
    const callers = [someCallers(profile).at(-1)!]
    return cellsOf(context, LEADING, { namespaces: choose(profile, [1, 8, 64, 1000], [8, 1000]), callers })
  },
  run: (spec) => measureWrites(spec, { places: atHome(settingsOf(spec.parameters)) }),
  columns: WRITE_COLUMNS,
  plots: [
    { name: 'throughput', title: 'Namespaces, 256 B', x: 'namespaces', y: 'perSecond', yTitle: 'writes/s' },
    { name: 'p99', title: 'Namespaces, 256 B: 99th percentile', x: 'namespaces', y: 'p99Us', yTitle: 'µs' },
  ],
}

function atHome({ callers, namespaces }: { callers: number; namespaces: number }): Places {
  const random = randomNumbers(1)
  const homes = Math.max(1, Math.floor(namespaces / callers))
  const keys = Math.max(1, Math.floor(KEYS / namespaces))
  return (_, caller) => ({
    namespace: (caller + callers * Math.floor(random() * homes)) % namespaces,
    key: `hot${Math.floor(random() * keys)}`,
  })
}
