/**
 * Question: what does it cost that agents live in threads of their own? Total durable writes a second, and the time of a
 * write at the 99th percentile, from 1, 2, 4, 8 threads with so many callers each, against the same number of callers in
 * the store's own thread.
 *
 * Workload: every caller writes 256 bytes (incompressible) to one of 100 keys, again when the write is acknowledged; eight
 * namespaces; writer identity and conflict detection on; acknowledged = synced (`durability: 'journal'`). Both sides are
 * measured in one run, in turn, on a fresh root each, medians over the repetitions. The tree follows in the background and
 * is not waited for. Not measured: reads, events, large values.
 *
 *     node benchmarks/threads.mjs [--threads 1,2,4,8] [--callers 64] [--seconds 2] [--repetitions 5] [--root DIR] [--json]
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { connectStore, openStore } from 'agent-state'

const NAMESPACES = 8
const KEYS = 100
const VALUE_BYTES = 256

if (isMainThread) await main()
else await runThread()

async function main() {
  const { values: options } = parseArgs({
    options: {
      threads: { type: 'string', default: '1,2,4,8' },
      callers: { type: 'string', default: '64' },
      seconds: { type: 'string', default: '2' },
      repetitions: { type: 'string', default: '5' },
      root: { type: 'string', default: os.tmpdir() },
      json: { type: 'boolean', default: false },
    },
  })
  const settings = {
    callers: Number(options.callers),
    ms: Number(options.seconds) * 1000,
    root: options.root,
  }
  const rows = []
  for (const threads of options.threads.split(',').map(Number)) {
    const runs = { threads: [], local: [] }
    for (let i = 0; i < Number(options.repetitions); i++) {
      runs.threads.push(await measure(settings, (store) => inThreads(store, threads, settings)))
      runs.local.push(
        await measure(settings, (store) => callersOf(store, threads * settings.callers, settings.ms)),
      )
    }
    rows.push({
      threads,
      callers: settings.callers,
      inThreads: summary(runs.threads),
      inStoreThread: summary(runs.local),
    })
    if (process.stderr.isTTY) process.stderr.write(`${threads} threads measured\n`)
  }
  const machine = { cpus: os.cpus().length, model: os.cpus()[0]?.model ?? 'unknown', node: process.version }
  process.stdout.write(
    options.json ? `${JSON.stringify({ machine, durability: 'journal', rows })}\n` : table(rows),
  )
}

async function measure(settings, work) {
  const root = await mkdtemp(join(settings.root, 'agent-state-bench-'))
  const store = await openStore({ root })
  try {
    for (let i = 0; i < NAMESPACES; i++) await store.init(`n${i}`)
    const begin = performance.now()
    const latencies = (await work(store)).toSorted((a, b) => a - b)
    const seconds = (performance.now() - begin) / 1000
    return {
      perSecond: latencies.length / seconds,
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    }
  } finally {
    await store.close({ flush: false })
    await rm(root, { recursive: true, force: true })
  }
}

/** Times of the writes of all callers, in milliseconds. */
async function callersOf(store, callers, ms) {
  const value = randomBytes(VALUE_BYTES / 2).toString('hex')
  const end = performance.now() + ms
  const latencies = []
  const call = async (_, caller) => {
    const session = await store.resume(`n${caller % NAMESPACES}`, { writer: { writerId: `agent-${caller}` } })
    for (let i = caller; performance.now() < end; i++) {
      const begin = performance.now()
      await session.write(`hot/${i % KEYS}`, value)
      latencies.push(performance.now() - begin)
    }
  }
  await Promise.all(Array.from({ length: callers }, call))
  return latencies
}

async function inThreads(store, threads, { callers, ms }) {
  const results = Array.from({ length: threads }, () => {
    const port = store.createPort()
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { port, callers, ms },
      transferList: [port],
    })
    return new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  })
  return (await Promise.all(results)).flat()
}

async function runThread() {
  const { port, callers, ms } = workerData
  const store = await connectStore(port)
  parentPort.postMessage(await callersOf(store, callers, ms))
  await store.close()
}

function summary(runs) {
  return {
    perSecond: Math.round(median(runs.map((run) => run.perSecond))),
    p99Ms: median(runs.map((run) => run.p99Ms)),
  }
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function table(rows) {
  const lines = rows.map(({ threads, callers, inThreads: there, inStoreThread: here }) => {
    const share = ((there.perSecond / here.perSecond) * 100).toFixed(0)
    return `| ${threads} | ${callers} | ${there.perSecond} | ${there.p99Ms.toFixed(1)} | ${here.perSecond} | ${here.p99Ms.toFixed(1)} | ${share} % |`
  })
  return [
    '| threads | callers each | writes/s in threads | p99 ms | writes/s in the store’s thread | p99 ms | share |',
    '| --: | --: | --: | --: | --: | --: | --: |',
    ...lines,
    '',
  ].join('\n')
}
