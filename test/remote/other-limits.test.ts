/** Whoever shares a root may send what another owner's limits allowed. It is answered as a call in the store's own thread. */
import { describe, expect, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import { misuse, refusal } from '../../src/contract/observe.js'
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.js'
import { connectStore } from '../../src/remote/connect.js'
import { LARGE_BYTES } from '../../src/remote/wire.js'
import { hosted } from './hosted.js'
import { relay } from './raw-port.js'

const SMALL = { valueBytesMax: 100, keyBytesMax: 20, queueOperationsMax: 3, queueBytesMax: 150 }
const LONG_KEY = 'k'.repeat(SMALL.keyBytesMax + 1)

/** The library's own side, which takes the store to have the usual limits. */
async function connectUnaware(store: Store): Promise<Store> {
  const { port } = relay(store.createPort(), (greeting) => ({ ...greeting, limits: DEFAULT_LIMITS }))
  return connectStore(port)
}

async function sessions(limits: Partial<Limits> = SMALL): Promise<{ local: Session; unaware: Session }> {
  const { store } = await hosted(limits)
  const local = await store.init('n')
  return { local, unaware: await (await connectUnaware(store)).resume('n') }
}

function writes(count: number, value: string): { write: string; value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ write: `k${index}`, value }))
}

describe('what is beyond the limits of this owner and was within those of another', () => {
  const calls: Readonly<Record<string, (session: Session) => unknown>> = {
    'a value': (session) => session.write('k', 'v'.repeat(101)),
    'a value that is sent in a buffer of its own': (session) => session.write('k', 'v'.repeat(LARGE_BYTES)),
    'a value in a batch': (session) =>
      session.batch([{ write: 'k', value: '' }, ...writes(1, 'v'.repeat(101))]),
    'the operations of a batch': (session) => session.batch(writes(4, '')),
    'the bytes of a batch': (session) => session.batch(writes(3, 'v'.repeat(51))),
    'the key of a write': (session) => session.write(LONG_KEY, ''),
    'the key of a delete': (session) => session.delete(LONG_KEY),
    'a key in a batch': (session) => session.batch([...writes(1, ''), { delete: LONG_KEY }]),
    'the key of an update': (session) => session.update(LONG_KEY, () => ''),
    'a key that is read': (session) => session.read(LONG_KEY),
    'a key that is looked at': (session) => session.stat(LONG_KEY),
  }
  for (const [name, call] of Object.entries(calls)) {
    test(`${name}: is refused as in the store's own thread, and the connection goes on`, async () => {
      const { local, unaware } = await sessions()
      const under = unaware.write('under', 'way')
      const error = await refusal('LIMIT_EXCEEDED', () => call(unaware))
      const { message, limit, max, actual, key } = await refusal('LIMIT_EXCEEDED', () => call(local))
      expect(error).toMatchObject({ message, limit, max, actual, outcome: 'unchanged' })
      expect(error.key).toBe(key)
      await under
      expect(await unaware.list()).toEqual(['under'])
    })
  }
})

test('a value alone may be larger than a batch may be, as in the thread of the store', async () => {
  const { local, unaware } = await sessions({ queueBytesMax: 10 })
  await local.write('local', 'v'.repeat(11))
  await unaware.write('unaware', 'v'.repeat(11))
  await refusal('LIMIT_EXCEEDED', () => unaware.batch([{ write: 'k', value: 'v'.repeat(11) }]))
  expect(await unaware.list()).toEqual(['local', 'unaware'])
})

test('a port is bound to no more namespaces than can be told through a connection, whoever makes it', async () => {
  const { store, connect } = await hosted()
  const connected = await connect()
  const namespaces = Array.from({ length: 10_001 }, (_, index) => `n${index}`)
  for (const maker of [store, connected]) {
    expect(await misuse(() => maker.createPort({ namespaces }))).toBeInstanceOf(RangeError)
    const through = await connectStore(maker.createPort({ namespaces: namespaces.slice(1) }))
    await through.init('n1')
    await through.close()
  }
  expect(connected.state).toBe('open')
})
