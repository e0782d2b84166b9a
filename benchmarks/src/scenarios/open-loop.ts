import { setTimeout } from 'node:timers/promises'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies } from '../../../dist/bench/latencies.js'
import { contestantOf } from '../contestants/index.js'
import { choose } from '../harness/profile.js'
import { numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { usageOf, usedBetween } from '../harness/usage.js'
import { hotKeys, settingsOf, warmUp } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING } from './common.js'

const KEYS = 1000
/** Identities that the writes are done under, in turn. */
const CALLERS = 256
const GROUP = 1024
/** Beyond this many unanswered writes nobody could keep up; the rest starts later, and its waiting counts. */
const UNANSWERED_MAX = 20_000
/** How many times as long as usual it is measured: stalls are seldom, and p99.9 needs many writes. */
const LENGTH = 10

export const openLoop: Scenario = {
  name: 'open-loop',
  question: 'How long do writes take that come whether or not the earlier ones were answered?',
  workload:
    'so many writes a second, evenly, each under one of 256 identities, to one of 1,000 keys, 256 B, 8 namespaces. Time counts from the moment a write was due, so that a stall is seen by everybody who comes in it; writes that are due are started once a millisecond. Where writes/s is below the rate, it can not be kept up; a run ends when it takes twice its time, and the writes that were due and not begun count with the time they had waited by then',
  durability: DURABLE,
  repetitions: (usual) => Math.min(usual, 4),
  extraSeconds: (_, { seconds }) => LENGTH * seconds,
  cells: (context) => {
    const rate = choose(context.profile, [5000, 20_000, 100_000], [5000, 50_000])
    // After a stall more writes wait than there are identities: groups are as large as this library's, for all.
    return cellsOf(context, LEADING, { rate, callers: [CALLERS] }).map(({ contestant, parameters }) => ({
      contestant,
      parameters: 'batch' in parameters ? { ...parameters, batch: GROUP } : parameters,
    }))
  },
  run,
  columns: [
    { measure: 'perSecond', title: 'writes/s' },
    { measure: 'p50Us', title: 'p50 µs' },
    { measure: 'p99Us', title: 'p99 µs' },
    { measure: 'p999Us', title: 'p99.9 µs' },
    { measure: 'maxUs', title: 'longest µs' },
    { measure: 'cpuUs', title: 'CPU µs a write' },
  ],
  plots: [{ name: 'p99', title: 'Open loop, 256 B: 99th percentile', x: 'rate', y: 'p99Us', yTitle: 'µs' }],
}

async function run(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const contents = incompressibleContents(settings.valueBytes)
  const places = hotKeys(settings.namespaces, KEYS)
  await warmUp(spec, opened, places)
  const before = usageOf(spec.folder)
  const result = await atRate(numberOf(spec.parameters, 'rate'), LENGTH * spec.profile.seconds, (index) => {
    const caller = index % CALLERS
    const { namespace, key } = places(index, caller)
    return opened.write(caller, namespace, key, contents(index))
  })
  const used = usedBetween(before, usageOf(spec.folder))
  await opened.close()
  return { measures: { ...result, cpuUs: used.cpuUs / result['operations']! } }
}

async function atRate(
  rate: number,
  seconds: number,
  operation: (index: number) => unknown,
): Promise<Record<string, number>> {
  const times = latencies()
  const total = Math.ceil(rate * seconds)
  const begin = performance.now()
  const waitedMs = (index: number): number => performance.now() - begin - (index * 1000) / rate
  let started = 0
  let answered = 0
  let failure: unknown = null
  const start = async (index: number): Promise<void> => {
    await operation(index)
    answered++
    times.record(waitedMs(index))
  }
  let isLate = false
  while (answered < (isLate ? started : total)) {
    const due = isLate ? 0 : Math.min(total, ((performance.now() - begin) * rate) / 1000)
    while (started < due && started - answered < UNANSWERED_MAX)
      start(started++).catch((error: unknown) => (failure ??= error))
    await setTimeout(1)
    isLate ||= performance.now() - begin > 2000 * seconds
    if (failure !== null) throw failure
  }
  const elapsed = (performance.now() - begin) / 1000
  for (let index = started; index < total; index++) times.record(waitedMs(index))
  return { operations: answered, perSecond: answered / elapsed, ...times.summary() }
}
