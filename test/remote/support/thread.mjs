/**
 * A thread of agents: connects to the store behind `workerData.port` and does what the module named by `workerData.act`
 * says. What it has done is noted in shared memory, which tells the truth however the thread ends.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { connectStore } from 'agent-state'

const { act, port, notes, ...given } = workerData
const counters = new Int32Array(notes.counters)

/** Resolves when the test has said so. */
function told(what) {
  return new Promise((resolve) => {
    const listener = (message) => {
      if (message !== what) return
      parentPort.off('message', listener)
      resolve(undefined)
    }
    parentPort.on('message', listener)
  })
}

// Keeps the thread alive whatever becomes of the connection.
parentPort.on('message', () => {})
const { run } = await import(`./acts/${act}.mjs`)
await run({
  ...given,
  store: await connectStore(port),
  port,
  counters,
  marks: new Uint8Array(notes.marks),
  count: (counter) => Atomics.add(counters, counter, 1) + 1,
  say: (said, more) => parentPort.postMessage({ said, ...more }),
  told,
})
