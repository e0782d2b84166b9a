/** An agent in a thread of its own that holds its thread up in the middle of an update, until it is released, and says what it watched. */
import { parentPort, workerData } from 'node:worker_threads'
import { connectStore } from 'agent-state'

const { port, released } = workerData
const store = await connectStore(port)
const session = await store.resume('n')
const items = session.watch({ prefix: 'watched/' })[Symbol.asyncIterator]()
parentPort?.postMessage('ready')

await session.update('shared', (text) => {
  parentPort?.postMessage('updating')
  Atomics.wait(released, 0, 0)
  return `${text ?? ''}agent `
})
const watched = []
while (watched.length < 100) {
  const { value } = await items.next()
  if (value?.type === 'change') watched.push(value.key)
}
await session.write('after', 'the thread goes on')
parentPort?.postMessage({ watched })
await store.close()
