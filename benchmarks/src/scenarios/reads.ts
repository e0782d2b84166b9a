import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies } from '../../../dist/bench/latencies.js'
import type { Opened } from '../contestants/contestant.js'
import { contestantOf } from '../contestants/index.js'
import { choose } from '../harness/profile.js'
import { randomNumbers, shuffled } from '../harness/random.js'
import { runPhase } from '../harness/run-cell.js'
import type { RunResult, RunSpec, Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween } from '../harness/usage.js'
import { settingsOf } from '../harness/writes.js'
import { cellsOf } from './common.js'

const HOT_KEYS = 100
/** More than a burst: reading so few keys would mostly show how long the code takes to be compiled. */
const COLD_KEYS_FACTOR = 2
const READERS = ['agent-state', 'lmdb batched', 'sqlite batched', 'level batched']

export const reads: Scenario = {
  name: 'reads',
  question:
    'How fast are reads of what is in memory, of what must be read from the files, and of what was just written?',
  workload:
    '64 callers; 256 B; 8 namespaces. hot: 100 keys again and again. cold: every key once, in random order, in a process that has just opened the store (the page cache is warm; agent-state verifies the checksum; the first half is not measured). after a write: each caller writes a key and reads it back; the times are those of the read alone, how many a second and the processor time are those of such pairs',
  durability: 'what is read was synced before it was acknowledged',
  extraSeconds: ({ parameters }) => (parameters['kind'] === 'cold' ? 9 : 0.2),
  cells: (context) => {
    const { profile } = context
    const cells = (kind: string, contestants: readonly string[], valueBytes: readonly number[]) =>
      cellsOf(context, contestants, {
        kind: [kind],
        valueBytes: choose(profile, valueBytes, [256]),
        callers: [64],
      })
    return [
      ...cells('hot', READERS, [256]),
      ...cells('cold', [...READERS, 'bare files', 'bare files in one thread'], [256]),
      ...cells('after a write', READERS, [256]),
    ]
  },
  run: async (spec) => {
    const { kind } = spec.parameters
    if (kind !== 'after a write') await runPhase(spec, 'prepare')
    return kind === 'cold' ? readCold(spec) : kind === 'hot' ? readHot(spec) : readAfterWrite(spec)
  },
  phases: { prepare },
  columns: [
    { measure: 'perSecond', title: 'reads/s' },
    { measure: 'pairsPerSecond', title: 'pairs of write and read/s' },
    { measure: 'p50Us', title: 'read p50 µs' },
    { measure: 'p99Us', title: 'read p99 µs' },
    { measure: 'p999Us', title: 'read p99.9 µs' },
    { measure: 'cpuUs', title: 'CPU µs a read' },
    { measure: 'pairCpuUs', title: 'CPU µs a pair' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
  ],
  plots: [],
}

function keysOf({ profile, parameters }: RunSpec): number {
  return parameters['kind'] === 'hot' ? HOT_KEYS : COLD_KEYS_FACTOR * profile.burstOperations
}

async function prepare(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const contents = incompressibleContents(settings.valueBytes)
  const { operations } = await closedLoop({
    callers: settings.callers,
    seconds: Infinity,
    operationsMax: keysOf(spec),
    operation: (caller, index) =>
      opened.write(caller, index % settings.namespaces, `k${index}`, contents(index)),
  })
  await opened.drain()
  await opened.close()
  return { measures: { operations } }
}

type Read = (index: number) => unknown

async function open(spec: RunSpec): Promise<{ opened: Opened; read: Read }> {
  const settings = settingsOf(spec.parameters)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const { valueBytes, namespaces } = settings
  return {
    opened,
    read: async (index) => {
      const value = await opened.read!(index % namespaces, `k${index}`)
      if (value?.length !== valueBytes) throw new Error(`k${index} has not been read back`)
    },
  }
}

async function readHot(spec: RunSpec): Promise<RunResult> {
  const { opened, read } = await open(spec)
  const random = randomNumbers(1)
  const callers = settingsOf(spec.parameters).callers
  const operation = (): unknown => read(Math.floor(random() * HOT_KEYS))
  await closedLoop({ callers, seconds: spec.profile.warmUpSeconds, operation })
  return measured(spec, opened, { seconds: spec.profile.seconds, operation })
}

async function readCold(spec: RunSpec): Promise<RunResult> {
  const { opened, read } = await open(spec)
  const keys = shuffled(
    Array.from({ length: keysOf(spec) }, (_, index) => index),
    randomNumbers(1),
  )
  // The first half warms up the code; it is not measured.
  const warm = keys.splice(0, Math.floor(keys.length / 2))
  const { callers } = settingsOf(spec.parameters)
  await closedLoop({
    callers,
    seconds: Infinity,
    operationsMax: warm.length,
    operation: (_, index) => read(warm[index]!),
  })
  return measured(spec, opened, {
    seconds: Infinity,
    operationsMax: keys.length,
    operation: (_, index) => read(keys[index]!),
  })
}

interface Loop {
  readonly seconds: number
  readonly operationsMax?: number
  readonly operation: (caller: number, index: number) => unknown
}

async function measured(spec: RunSpec, opened: Opened, loop: Loop): Promise<RunResult> {
  const before = usageOf(spec.folder)
  const result = await closedLoop({ ...loop, callers: settingsOf(spec.parameters).callers })
  const { operations, seconds } = result
  const used = usedBetween(before, usageOf(spec.folder))
  await opened.close()
  return {
    measures: {
      operations,
      perSecond: operations / seconds,
      ...result.latencies.summary(),
      cpuUs: used.cpuUs / operations,
      memoryMiB: peakMemoryMiB(),
    },
  }
}

async function readAfterWrite(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const contents = incompressibleContents(settings.valueBytes)
  const times = latencies()
  const operation = async (caller: number, index: number): Promise<void> => {
    const namespace = index % settings.namespaces
    const value = contents(index)
    await opened.write(caller, namespace, `c${caller}`, value)
    const begin = performance.now()
    const read = await opened.read!(namespace, `c${caller}`)
    times.record(performance.now() - begin)
    if (read === null || Buffer.compare(read, value) !== 0)
      throw new Error('another value was read than written')
  }
  const { callers } = settings
  await closedLoop({ callers, seconds: spec.profile.warmUpSeconds, operation })
  times.reset()
  const { measures } = await measured(spec, opened, { seconds: spec.profile.seconds, operation })
  const { perSecond, cpuUs, ...others } = measures
  return {
    measures: { ...others, pairsPerSecond: perSecond!, pairCpuUs: cpuUs!, ...times.summary() },
  }
}
