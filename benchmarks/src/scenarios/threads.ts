import { Worker, type MessagePort } from 'node:worker_threads'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { connectStore, openStore, type Store } from 'agent-state'
import { openedStore } from '../contestants/agent-state.js'
import { choose } from '../harness/profile.js'
import { combinations, numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween } from '../harness/usage.js'
import { hotKeys } from '../harness/writes.js'
import { DURABLE } from './common.js'
import { HOT_KEYS } from './hot-set.js'

const NAMESPACES = 8
const VALUE_BYTES = 256

export const threads: Scenario = {
  name: 'threads',
  question: "What does it cost that agents live in threads of their own, beside the store's thread?",
  workload:
    '64 callers in each of 1, 2, 4, 8 threads that are connected to the store, against the same number of callers in the store’s own thread; a hot set of 100 keys, 256 B, 8 namespaces',
  durability: DURABLE,
  // With more threads than processors, one run says little.
  repetitions: (usual) => 2 * usual - 1,
  extraSeconds: (_, { seconds, warmUpSeconds }) => 0.5 + 3 * seconds + 3 * warmUpSeconds,
  cells: ({ profile }) =>
    combinations({
      where: ['in threads', 'in the store’s thread'],
      threads: choose(profile, [1, 2, 4, 8], [2, 8]),
      callers: [64],
    }).map((parameters) => ({ contestant: 'agent-state', parameters })),
  run,
  columns: [
    { measure: 'perSecond', title: 'writes/s' },
    { measure: 'p50Us', title: 'p50 µs' },
    { measure: 'p99Us', title: 'p99 µs' },
    { measure: 'p999Us', title: 'p99.9 µs' },
    { measure: 'flushes', title: 'flushes a write' },
    { measure: 'cpuUs', title: 'CPU µs a write' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
  ],
  plots: [],
}

/** What one thread is told. */
export interface ThreadJob {
  readonly port: MessagePort
  readonly callers: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/** What one thread measured: its writes, and the times of them. */
export interface ThreadResult {
  readonly operations: number
  readonly withWarmUp: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
}

async function run(spec: RunSpec): Promise<RunResult> {
  const { parameters, profile, folder } = spec
  const [count, callers] = [numberOf(parameters, 'threads'), numberOf(parameters, 'callers')]
  const store = await openStore({ root: folder })
  for (let i = 0; i < NAMESPACES; i++) await store.init(`n${i}`)
  // Every thread has code of its own to compile.
  const job = { warmUpSeconds: 4 * profile.warmUpSeconds, seconds: 4 * profile.seconds }
  const before = usageOf(folder)
  const results =
    parameters['where'] === 'in threads'
      ? await inThreads(store, count, { ...job, callers })
      : [await (await warmedUp(store, folder, { ...job, callers: callers * count }))()]
  const used = usedBetween(before, usageOf(folder))
  await store.close({ flush: false })
  const operations = results.reduce((sum, result) => sum + result.operations, 0)
  const withWarmUp = results.reduce((sum, result) => sum + result.withWarmUp, 0)
  return {
    measures: {
      operations,
      perSecond: results.reduce((sum, result) => sum + result.operations / result.seconds, 0),
      p50Us: worst(results, 'p50Us'),
      p99Us: worst(results, 'p99Us'),
      p999Us: worst(results, 'p999Us'),
      flushes: used.flushes / withWarmUp,
      cpuUs: used.cpuUs / withWarmUp,
      memoryMiB: peakMemoryMiB(),
    },
  }
}

/** Of the thread that waited longest. */
function worst(results: readonly ThreadResult[], measure: 'p50Us' | 'p99Us' | 'p999Us'): number {
  return Math.max(...results.map((result) => result[measure]))
}

/** All begin to measure when the last one has started and is warm. */
async function inThreads(store: Store, count: number, job: Omit<ThreadJob, 'port'>): Promise<ThreadResult[]> {
  const threads = Array.from({ length: count }, () => startThread(store, job))
  await Promise.all(threads.map(({ next }) => next()))
  const results = threads.map(({ next }) => next() as Promise<ThreadResult>)
  for (const { worker } of threads) worker.postMessage('begin')
  return Promise.all(results)
}

function startThread(
  store: Store,
  job: Omit<ThreadJob, 'port'>,
): { readonly worker: Worker; readonly next: () => Promise<unknown> } {
  const port = store.createPort()
  const worker = new Worker(new URL('threads-worker.js', import.meta.url), {
    workerData: { ...job, port } satisfies ThreadJob,
    transferList: [port],
  })
  const next = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  return { worker, next }
}

/** In the thread: connects, and warms up; what it returns measures. */
export async function prepareThread({ port, ...job }: ThreadJob): Promise<() => Promise<ThreadResult>> {
  const store = await connectStore(port)
  const measure = await warmedUp(store, '', job)
  return async () => {
    const result = await measure()
    await store.close()
    return result
  }
}

async function warmedUp(
  store: Store,
  folder: string,
  { callers, warmUpSeconds, seconds }: Omit<ThreadJob, 'port'>,
): Promise<() => Promise<ThreadResult>> {
  const opened = await openedStore(store, folder, { namespaces: NAMESPACES, callers })
  const contents = incompressibleContents(VALUE_BYTES)
  const places = hotKeys(NAMESPACES, HOT_KEYS)
  const operation = (caller: number, index: number): unknown => {
    const { namespace, key } = places(index, caller)
    return opened.write(caller, namespace, key, contents(index))
  }
  const warmUp = await closedLoop({ callers, seconds: warmUpSeconds, operation })
  return async () => {
    const result = await closedLoop({ callers, seconds, operation })
    const { p50Us, p99Us, p999Us } = result.latencies.summary()
    const { operations, seconds: measuredSeconds } = result
    const withWarmUp = operations + warmUp.operations
    return { operations, withWarmUp, seconds: measuredSeconds, p50Us, p99Us, p999Us }
  }
}
