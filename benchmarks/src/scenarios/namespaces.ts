import { incompressibleContents } from '../../../dist/bench/contents.js'
import type { Opened, Settings } from '../contestants/contestant.js'
import { choose } from '../harness/profile.js'
import { randomNumbers } from '../harness/random.js'
import { numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { measureWrites, settingsOf } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING, someCallers, WRITE_COLUMNS } from './common.js'

const KEYS = 1000
/** With 256 callers at home in all of 1,000 namespaces, what is kept for each caller in each would be most of the cost. */
const HOMES_MAX = 64

export const namespaces: Scenario = {
  name: 'namespaces',
  question: 'What do many namespaces cost?',
  workload:
    '256 callers (quick: 64), each at home in all namespaces, or in 64 of more, so that all are used and each is shared; every write goes to one of these and to one of its keys, drawn at random: 1,000 keys in all, 256 B. Before what is measured every caller has written once wherever it is at home',
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
  const homes = Math.min(HOMES_MAX, settings.namespaces)
  const keys = Math.max(1, Math.floor(KEYS / settings.namespaces))
  return measureWrites(spec, {
    places: (_, caller) => ({
      namespace: homeOf(settings, caller, Math.floor(random() * homes)),
      key: `hot${Math.floor(random() * keys)}`,
    }),
    prepare: (opened) => writeAtHome(opened, settings, homes),
  })
}

/** Neighbours share most of their namespaces; with the last caller all are used. */
function homeOf({ callers, namespaces }: Settings, caller: number, index: number): number {
  return (caller * Math.ceil(namespaces / callers) + index) % namespaces
}

/** What a contestant makes for a caller in a namespace is there before it is measured. */
async function writeAtHome(opened: Opened, settings: Settings, homes: number): Promise<void> {
  const contents = incompressibleContents(settings.valueBytes)
  const writeInAll = async (caller: number): Promise<void> => {
    for (let i = 0; i < homes; i++)
      await opened.write(caller, homeOf(settings, caller, i), 'hot0', contents(i))
  }
  await Promise.all(Array.from({ length: settings.callers }, (_, caller) => writeInAll(caller)))
}
