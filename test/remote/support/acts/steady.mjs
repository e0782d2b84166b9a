/** Writes, reads, updates and listens; wakes the test when it is done. */
import { COUNTER } from '../thread-notes.mjs'

export async function run({ store, name, counters, say, told }) {
  const session = await store.init('n', { writer: { writerId: name } })
  const items = session.watch({ prefix: name })[Symbol.asyncIterator]()
  await session.write(`${name}/first`, '')
  const going = told('go')
  say('ready')
  await going
  for (let index = 0; index < 100; index++) {
    await session.write(`${name}/${index}`, `${index}`)
    await session.update('counter', (value) => String(Number(value ?? 0) + 1))
    await session.read(`${name}/${index}`)
    await items.next()
  }
  if (Atomics.add(counters, COUNTER.ACKNOWLEDGED, 1) === 0) Atomics.notify(counters, COUNTER.ACKNOWLEDGED)
}
