/** The entry of a worker thread of a swarm: its agents work through a connection. */
import { parentPort, workerData } from 'node:worker_threads'
import { connectStore } from 'agent-state'
import { generator } from './generator.mjs'
import { agentOn, NAMESPACES, noteEvents, noteTo, now } from './swarm.mjs'

const { port, name, seed, era, notes, rounds } = workerData
const note = noteTo(notes)
const store = await connectStore(port)
noteEvents(store, name, era, note)
const agents = []
for (const namespace of NAMESPACES) {
  const base = await store.resume(namespace)
  for (const number of [0, 1]) {
    const context = { era, note, now, random: generator(seed * 10 + agents.length) }
    agents.push(agentOn(base, `${name}-${namespace}-${number}`, context))
  }
}
await Promise.all(
  agents.map(async (one) => {
    for (let round = 0; round < rounds; round++) {
      await one.act()
      parentPort.postMessage(1)
    }
  }),
)
await store.close()
