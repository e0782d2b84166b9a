import { incompressibleContents } from '../../../dist/bench/contents.js'
import type { Opened, Settings } from '../contestants/contestant.js'
import { choose } from '../harness/profile.js'
import { randomNumbers } from '../harness/random.js'
import { numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { measureWrites, settingsOf, type Place } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING, someCallers, WRITE_COLUMNS } from './common.js'

const KEYS = 1000
/** Of each caller. With 256 callers that write all of 1,000 keys, what is kept for each caller and key would be most of the cost. */
const OWN_KEYS = 64

export const namespaces: Scenario = {
  name: 'namespaces',
  question: 'What do many namespaces cost?',
  workload:
    '1,000 keys in all, spread over the namespaces, 256 B; 256 callers (quick: 64), each of which writes 64 of the keys, drawn at random, and shares each of these with others. Before what is measured every caller has written each of its keys once, so that only the number of namespaces differs',
  durability: DURABLE,
  // The first files of every namespace.
  extraSeconds: ({ contestant, parameters }) =>
    contestant === 'agent-state' ? 0.5 + numberOf(parameters, 'namespaces') / 150 : 0.2,
  cells: (context) => {
    const { profile } = context
    const callers = [someCallers(profile).at(-1)!]
    return cellsOf(context, LEADING, { namespaces: choose(profile, [1, 8, 64, 1000], [8, 1000]), callers })
  },
  run,
  columns: WRITE_COLUMNS,
  plots: [
    { name: 'throughput', title: 'Namespaces, 256 B', x: 'namespaces', y: 'perSecond', yTitle: 'writes/s' },
    { name: 'p99', title: 'Namespaces, 256 B: 99th percentile', x: 'namespaces', y: 'p99Us', yTitle: 'µs' },
  ],
}

function run(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const random = randomNumbers(1)
  return measureWrites(spec, {
    places: (_, caller) => placeOf(settings, caller, Math.floor(random() * OWN_KEYS)),
    prepare: (opened) => writeAll(opened, settings),
  })
}

/** Neighbours share most of their keys; with the last caller all are used. */
function placeOf({ callers, namespaces }: Settings, caller: number, index: number): Place {
  const key = (caller * Math.ceil(KEYS / callers) + index) % KEYS
  return { namespace: key % namespaces, key: `hot${key}` }
}

/** What a contestant makes for a caller and a key is there before it is measured. */
async function writeAll(opened: Opened, settings: Settings): Promise<void> {
  const contents = incompressibleContents(settings.valueBytes)
  const writeOwn = async (caller: number): Promise<void> => {
    for (let index = 0; index < OWN_KEYS; index++) {
      const { namespace, key } = placeOf(settings, caller, index)
      await opened.write(caller, namespace, key, contents(index))
    }
  }
  await Promise.all(Array.from({ length: settings.callers }, (_, caller) => writeOwn(caller)))
}
