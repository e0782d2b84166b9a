import { expect, test } from 'vitest'
import { failureOf, iteratorOf } from '../../src/contract/observe.js'
import { BASE_DEFAULTS } from '../../src/options.js'
import { connectPort, partsOf } from '../../src/remote/connect.js'
import { StoreHandle } from '../../src/store-handle.js'
import { collectGarbage } from '../helpers/collect-garbage.js'
import { hosted, until } from './hosted.js'

const NOTHING = { connections: 0, calls: 0, turns: 0, watches: 0 }
const AT_ONCE = 20
/** What nobody could call a leak: the books of a runner and of the engine. */
const BYTES_PER_CONNECTION_MAX = 300

// The runner asks for a hundred lines, which take more time than the connections themselves.
Error.stackTraceLimit = 10

async function heapUsed(): Promise<number> {
  await collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Ten seconds, where nothing else is going on. */
const HANGS_MS = 600_000

test('10,000 connections that did something leave nothing behind', { timeout: HANGS_MS }, async () => {
  const { store, ports, coordinator } = await hosted({ historyMax: 10 })
  const session = await store.init('n')
  const connection = async (index: number): Promise<void> => {
    const port = store.createPort()
    const connected = await connectPort(port, undefined)
    const handle = new StoreHandle(partsOf(connected), BASE_DEFAULTS)
    const remote = await handle.resume('n', { writer: { writerId: `w${index}` } })
    const items = index % 4 === 0 ? iteratorOf(remote.watch()) : null
    if (index % 4 === 1) handle.events.on('change', () => {}, { namespace: 'n' })
    if (index % 4 === 2) await remote.update('updated', () => (index % 8 === 2 ? 'x' : undefined))
    else await remote.write('k', '')
    if (items !== null) expect((await items.next()).value).toMatchObject({ key: 'k' })
    // Some leave as they should, some with a call under way, some without a word in the middle of an update.
    if (index % 3 === 0) {
      await connected.host.close({ flush: false })
    } else if (index % 3 === 1) {
      await Promise.all([remote.read('k'), connected.host.close({ flush: false })])
    } else {
      const failure = failureOf(() => remote.update(`k${index}`, () => new Promise<string>(() => {})))
      connected.connection.abandon()
      await failure
    }
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
