/** Thousands of writes, updates that hold turns and wait for them, events and watches, read and unread. */
import { ACKNOWLEDGED, ASKED, COUNTER, keyOf, REFUSED, valueOf } from '../thread-notes.mjs'

const ignore = () => {}

/** How a thread can end by itself in the middle of it. */
const ENDS = {
  throw: () =>
    setImmediate(() => {
      throw new Error('the agent crashed')
    }),
  exit: () => process.exit(7),
  // When what is asked next has left the thread.
  'close-port': (port) => setImmediate(() => setImmediate(() => port.close())),
}

export async function run({ store, name, port, marks, count, say, told, end, endAt }) {
  const session = await store.init('swarm', { writer: { writerId: name } })
  store.events.on('change', () => count(COUNTER.EVENTS))
  const unread = [session.watch(), store.events.iterate('change'), store.events.iterate('conflict')]
  countItems(session.watch({ prefix: 'main/' }), () => count(COUNTER.WATCHED)).catch(ignore)
  const hold = session.update(`held-${name}`, () => {
    say('holds')
    return new Promise(ignore)
  })
  hold.catch(ignore)
  for (let waiting = 0; waiting < 50; waiting++) session.update(`held-${name}`, () => 'never').catch(ignore)
  let isStopped = false
  void told('stop').then(() => (isStopped = true))
  let next = 0
  const write = async () => {
    while (!isStopped && next < marks.length) {
      const index = next++
      marks[index] = ASKED
      await session.write(keyOf(name, index), valueOf(name, index)).catch((error) => {
        if (error.outcome === 'unchanged') marks[index] = REFUSED
        throw error
      })
      marks[index] = ACKNOWLEDGED
      if (count(COUNTER.ACKNOWLEDGED) !== endAt) continue
      say('reached')
      ENDS[end]?.(port)
    }
  }
  const increment = async () => {
    while (!isStopped) {
      await session.update('counter', (value) => {
        count(COUNTER.UPDATES_ASKED)
        return String(Number(value ?? 0) + 1)
      })
      count(COUNTER.UPDATES_ACKNOWLEDGED)
    }
  }
  const callers = [...Array.from({ length: 500 }, write), ...Array.from({ length: 8 }, increment)]
  const results = await Promise.allSettled(callers)
  const failures = results.flatMap(({ reason }) => (reason === undefined ? [] : [reason.code ?? `${reason}`]))
  if (isStopped) await store.close({ flush: false })
  say('done', { failures: new Set(failures), unread: unread.length })
}

async function countItems(items, count) {
  for await (const _ of items) count()
}
