import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { iteratorOf, nextTurn } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { hosted, until } from './hosted.js'

const NOTHING = { connections: 0, calls: 0, turns: 0, watches: 0 }
const AT_ONCE = 20
/** What nobody could call a leak: the books of a runner and of the engine. */
const BYTES_PER_CONNECTION_MAX = 300

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function heapUsed(): Promise<number> {
  for (let round = 0; round < 5; round++) {
    collectGarbage()
    await nextTurn()
  }
  return process.memoryUsage().heapUsed
}

test('10,000 connections that did something leave nothing behind', async () => {
  const { store, ports, coordinator } = await hosted()
  const session = await store.init('n')
  const connection = async (index: number): Promise<void> => {
    const port = store.createPort()
    const connected = await connectStore(port)
    const remote = await connected.resume('n', { writer: { writerId: 'w' } })
    connected.events.on('change', () => {}, { namespace: 'n' })
    const items = iteratorOf(remote.watch())
    await Promise.all([remote.write('k', ''), remote.update('l', () => undefined)])
    expect((await items.next()).value).toMatchObject({ key: 'k' })
    // A third of them go without a word, a third leave their watch open, a third leave as they should.
    if (index % 3 === 0) port.close()
    if (index % 3 === 1) await items.return?.()
    await connected.close({ flush: false })
  }
  const many = async (count: number): Promise<number> => {
    for (let done = 0; done < count; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => connection(done + index)))
    }
    await until(() => ports.counts.connections === 0)
    return heapUsed()
  }
  const before = await many(2000)
  const after = await many(8000)
  expect(ports.counts).toEqual(NOTHING)
  expect(coordinator.turnsHeld).toBe(0)
  expect((after - before) / 8000).toBeLessThan(BYTES_PER_CONNECTION_MAX)
  expect(await session.read('k')).toBe('')
})
