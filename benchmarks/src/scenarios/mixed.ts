import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies } from '../../../dist/bench/latencies.js'
import { contestantOf } from '../contestants/index.js'
import { randomNumbers } from '../harness/random.js'
import type { RunResult, RunSpec, Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween } from '../harness/usage.js'
import { settingsOf } from '../harness/writes.js'
import { cellsOf, DURABLE, someCallers } from './common.js'

const KEYS = 1000
const READ_SHARE = 0.8

export const mixed: Scenario = {
  name: 'mixed',
  question: 'How do reads and writes get on together?',
  workload:
    'callers each read (80 %) or write (20 %) one of 1,000 keys, drawn at random, 256 B, 8 namespaces',
  durability: DURABLE,
  cells: (context) =>
    cellsOf(context, ['agent-state', 'lmdb batched', 'sqlite batched', 'level batched'], {
      callers: someCallers(context.profile).slice(-1),
    }),
  run,
  columns: [
    { measure: 'perSecond', title: 'operations/s' },
    { measure: 'readP50Us', title: 'read p50 µs' },
    { measure: 'readP99Us', title: 'read p99 µs' },
    { measure: 'readP999Us', title: 'read p99.9 µs' },
    { measure: 'writeP50Us', title: 'write p50 µs' },
    { measure: 'writeP99Us', title: 'write p99 µs' },
    { measure: 'writeP999Us', title: 'write p99.9 µs' },
    { measure: 'flushes', title: 'flushes an operation' },
    { measure: 'cpuUs', title: 'CPU µs an operation' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
  ],
  plots: [],
}

async function run(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const { callers, namespaces } = settings
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const contents = incompressibleContents(settings.valueBytes)
  let writes = 0
  const write = (caller: number, key: number): unknown =>
    opened.write(caller, key % namespaces, `hot${key}`, contents(writes++))
  await closedLoop({ callers, seconds: Infinity, operationsMax: KEYS, operation: write })
  const random = randomNumbers(1)
  const [readTimes, writeTimes] = [latencies(), latencies()]
  const operation = async (caller: number): Promise<void> => {
    const key = Math.floor(random() * KEYS)
    const isRead = random() < READ_SHARE
    const begin = performance.now()
    await (isRead ? opened.read!(key % namespaces, `hot${key}`) : write(caller, key))
    ;(isRead ? readTimes : writeTimes).record(performance.now() - begin)
  }
  await closedLoop({ callers, seconds: spec.profile.warmUpSeconds, operation })
  readTimes.reset()
  writeTimes.reset()
  const before = usageOf(spec.folder)
  const { operations, seconds } = await closedLoop({ callers, seconds: spec.profile.seconds, operation })
  const used = usedBetween(before, usageOf(spec.folder))
  await opened.close()
  const [read, written] = [readTimes.summary(), writeTimes.summary()]
  return {
    measures: {
      operations,
      perSecond: operations / seconds,
      ...{ readP50Us: read.p50Us, readP99Us: read.p99Us, readP999Us: read.p999Us },
      ...{ writeP50Us: written.p50Us, writeP99Us: written.p99Us, writeP999Us: written.p999Us },
      flushes: used.flushes / operations,
      cpuUs: used.cpuUs / operations,
      memoryMiB: peakMemoryMiB(),
    },
  }
}
