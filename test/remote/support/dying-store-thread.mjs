/** A store's own thread that dies in the way that it is told on the channel named by its root. */
import { BroadcastChannel, workerData } from 'node:worker_threads'
import 'agent-state/store-thread'

const WAYS = {
  exit: () => process.exit(3),
  throw: () =>
    setImmediate(() => {
      throw new Error('the store crashed')
    }),
  memory() {
    const all = []
    for (;;) all.push(Array.from({ length: 1000 }, Math.random))
  },
}

const channel = new BroadcastChannel(workerData.root)
channel.addEventListener('message', ({ data }) => WAYS[data]())
channel.unref()
