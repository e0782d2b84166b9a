/** A proxy of comlink that is collected closes its port, whoever still waits for an answer (GoogleChromeLabs/comlink#692). */
import { describe, expect, test } from 'vitest'
import type { EventMap, Session, Store, WatchItem } from '../../src/api.js'
import { connectStore } from '../../src/remote/connect.js'
import { iteratorOf } from '../../src/contract/observe.js'
import { collectGarbage } from '../helpers/collect-garbage.js'
import { hosted, until } from './hosted.js'
import { startThread } from './threads.js'

/** A connection that nobody keeps. */
function connect(store: Store): Promise<Store> {
  return connectStore(store.createPort())
}

/** Every further call needs that the messages before it were taken. */
const LIMITS = { connectionOperationsMax: 1, eventBufferMax: 2 }

describe('nothing that is in use is collected: with forced collections, and nobody holding the store', () => {
  test('a call is answered', async () => {
    const { backend, store } = await hosted(LIMITS)
    backend.holds = true
    // The namespace is being made: nobody has a session yet, and nobody keeps the store.
    const session = (async () => (await connect(store)).init('n'))()
    const commit = await backend.nextCommit()
    await collectGarbage()
    await commit.proceed()
    const write = (await session).write('k', '1')
    const second = await backend.nextCommit()
    await collectGarbage()
    await second.proceed()
    expect(await write).toMatchObject({ key: 'k' })
  })

  test('a session can be used', async () => {
    const { store } = await hosted(LIMITS)
    const session: Session = await (await connect(store)).init('n')
    for (let round = 0; round < 5; round++) {
      await collectGarbage()
      await session.write('k', String(round))
      expect(await session.read('k')).toBe(String(round))
    }
  })

  test('an update keeps its turn', async () => {
    const { store } = await hosted(LIMITS)
    const local = await store.init('n')
    const update = (async () => {
      const session = await (await connect(store)).init('n')
      return session.update('k', async (value) => {
        await collectGarbage()
        return `${value} remote`
      })
    })()
    await update
    await local.update('k', (value) => `${value} local`)
    expect(await local.read('k')).toBe('null remote local')
  })

  test('a watch goes on', async () => {
    const { store } = await hosted(LIMITS)
    const local = await store.init('n')
    const items: AsyncIterator<WatchItem> = iteratorOf((await (await connect(store)).init('n')).watch())
    for (let round = 0; round < 5; round++) {
      await collectGarbage()
      await local.write('k', '')
      expect((await items.next()).value).toMatchObject({ key: 'k' })
    }
  })

  test('a subscription goes on', async () => {
    const { store } = await hosted(LIMITS)
    const local = await store.init('n')
    const heard: EventMap['change'][] = []
    await (async () => {
      const connected = await connect(store)
      connected.events.on('change', (event) => heard.push(event))
      await connected.flush()
    })()
    for (let round = 1; round <= 5; round++) {
      await collectGarbage()
      await local.write('k', '')
      await until(() => heard.length === round)
    }
  })

  test('a thread in which everything is collected all the time is served as any other', async () => {
    const { store, ports } = await hosted()
    const local = await store.init('n')
    const thread = startThread('collecting', store.createPort())
    await thread.said('listening')
    await collectGarbage()
    for (let index = 0; index < 20; index++) await local.write(`local${index}`, '')
    expect(await thread.said('done')).toMatchObject({ counter: '50', heard: 20, watched: 20 })
    expect(ports.counts.connections).toBe(1)
  })
})
