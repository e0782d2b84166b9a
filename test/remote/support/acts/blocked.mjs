/** Subscribes to everything, asks for large answers, and blocks its event loop. Tells at last what it got. */
import { COUNTER } from '../thread-notes.mjs'

export async function run({ store, counters, count, say }) {
  const session = await store.resume('n')
  const warnings = []
  store.events.on('warning', ({ code }) => warnings.push(code))
  store.events.on('change', () => count(COUNTER.EVENTS))
  const changes = taken(store.events.iterate('change'), ({ key }) => key === 'awake')
  const elsewhere = taken(store.events.iterate('change', { namespace: 'elsewhere' }), () => true)
  const items = watched(session.watch())
  const reads = Array.from({ length: 40 }, () => session.readBytes('large'))
  // Whatever was asked for in this turn has left the thread when the next one comes.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  say('blocked')
  Atomics.wait(counters, COUNTER.AWAKE, 0)
  await store.flush()
  await session.write('awake', '')
  say('report', {
    changes: await changes,
    elsewhere: await elsewhere,
    watched: await items,
    reads: (await Promise.all(reads)).map((bytes) => bytes.byteLength),
    warnings,
  })
}

async function taken(events, isLast) {
  const found = { received: 0, missed: 0, keys: [] }
  for await (const event of events) {
    if (event.type === 'lagged') found.missed += event.missed
    else {
      found.received++
      found.keys.push(event.key)
    }
    if (isLast(event)) break
  }
  return found
}

async function watched(items) {
  let received = 0
  try {
    for await (const _ of items) received++
    return { received, end: 'done' }
  } catch (error) {
    return { received, end: error.code, lastRevision: error.lastRevision }
  }
}
