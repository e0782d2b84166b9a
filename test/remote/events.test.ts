import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { EventMap, Store, WriteResult } from '../../src/api.js'
import { collect, iteratorOf, record, take } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { ANSWER, CALL, EVENT_WINDOW } from '../../src/remote/wire.js'
import { hosted, until } from './hosted.js'
import { RawPort } from './raw-port.js'

type Item =
  { readonly type: 'lagged'; readonly missed: number } | { readonly type: 'change'; readonly key: string }

/** Everything that has arrived at a raw port so far, entry by entry: key of a change, or the count of what is missing. */
async function arrived(raw: RawPort, isEnough: (items: readonly Item[]) => boolean): Promise<Item[]> {
  const items: Item[] = []
  while (!isEnough(items)) {
    const { list } = await raw.delivery()
    for (let index = 0; index < list.length;) {
      if (list[index] === ANSWER.EVENT) {
        items.push({ type: 'change', key: (list[index + 2] as EventMap['change']).key })
        index += 3
      } else {
        expect(list[index]).toBe(ANSWER.LAGGED)
        items.push({ type: 'lagged', missed: list[index + 2] as number })
        index += 4
      }
    }
  }
  return items
}

describe('events over connections', () => {
  test('come in the same order everywhere, over every kind of event of a namespace', async () => {
    const { store, connect } = await hosted()
    const stores: Store[] = [store, ...(await Promise.all([connect(), connect(), connect()]))]
    const logs = stores.map((each) => {
      const log: string[] = []
      each.events.on('change', (event) => log.push(`change ${event.key} ${event.revision}`))
      each.events.on('conflict', (event) =>
        log.push(`conflict ${event.key} ${event.revision} ${event.current.writerId}`),
      )
      return log
    })
    const writers = await Promise.all(
      stores.map((each, index) =>
        each.init('n', { writer: { writerId: `w${index}` }, detect: 'writer-change' }),
      ),
    )
    // In a round all write the same key: whoever comes second, third or fourth finds somebody else's change.
    const results: WriteResult[] = []
    for (let round = 0; round < 100; round++) {
      const calls = writers.map((writer) => writer.write(`k${round % 7}`, String(round)))
      results.push(...(await Promise.all(calls)))
    }
    const conflicts = results.filter(({ conflict }) => conflict !== null).length
    expect(conflicts).toBeGreaterThanOrEqual(300)
    await until(() => logs.every((log) => log.length === 400 + conflicts))
    for (const log of logs.slice(1)) expect(log).toEqual(logs[0])
  })

  test('are sent once, however many listen, and only as long as somebody does', async () => {
    const { store, connect } = await hosted()
    const session = await store.init('n')
    const connected = await connect()
    const all = record(connected.events, 'change')
    const same = record(connected.events, 'change')
    const filtered = record(connected.events, 'change', { namespace: 'n' })
    const elsewhere = record(connected.events, 'change', { namespace: 'm' })
    await connected.flush()
    await session.write('a', '')
    for (const each of [all, same, filtered]) expect(await each.until(() => true)).toHaveLength(1)
    all.stop()
    same.stop()
    await connected.flush()
    await session.write('b', '')
    expect(await filtered.until(({ key }) => key === 'b')).toHaveLength(2)
    filtered.stop()
    await connected.flush()
    await session.write('c', '')
    await connected.flush()
    expect(elsewhere.items).toEqual([])
    expect([all, same, filtered].map(({ items }) => items.length)).toEqual([1, 1, 2])
    expect(await session.list()).toEqual(['a', 'b', 'c'])
  })

  test('of more namespaces than are told apart still reach whom they are for, and nobody else', async () => {
    const { store, connect } = await hosted()
    const connected = await connect()
    const records = Array.from({ length: 1005 }, (_, index) =>
      record(connected.events, 'change', { namespace: `n${index}` }),
    )
    await connected.flush()
    const written = [0, 500, 999, 1000, 1004, 1005]
    for (const index of written) await (await store.init(`n${index}`)).write('k', '')
    await Promise.all(written.slice(0, -1).map((index) => records[index]!.until(() => true)))
    expect(records.flatMap(({ items }, index) => items.map(() => index))).toEqual(written.slice(0, -1))
    for (const each of records) each.stop()
    await connected.flush()
  })

  test('I9: wait at the store while a thread takes none; what does not fit is counted where it is missing', async () => {
    const eventBufferMax = 100
    const { store } = await hosted({ eventBufferMax })
    const session = await store.init('n')
    const raw = new RawPort(store.createPort(), false)
    await raw.calls([CALL.EVENTS, 'change', undefined, true])
    const total = EVENT_WINDOW + eventBufferMax + 57
    for (let index = 0; index < total; index++) await session.write(`k${index}`, '')
    const first = await arrived(raw, (items) => items.length === EVENT_WINDOW)
    expect(first.at(-1)).toEqual({ type: 'change', key: `k${EVENT_WINDOW - 1}` })
    // Now it takes all that came: the rest follows, then the count, then what is new.
    for (const message of raw.messages as { type: string; id: string }[]) {
      if (message.type === 'APPLY') raw.say({ id: message.id, type: 'RAW', value: undefined })
    }
    const rest = await arrived(raw, (items) => items.at(-1)?.type === 'lagged')
    expect(rest.length).toBe(eventBufferMax + 1)
    expect(rest.at(-2)).toEqual({ type: 'change', key: `k${EVENT_WINDOW + eventBufferMax - 1}` })
    expect(rest.at(-1)).toEqual({ type: 'lagged', missed: 57 })
    await session.write('after', '')
    expect(await arrived(raw, (items) => items.length > 0)).toEqual([{ type: 'change', key: 'after' }])
  })

  test('that were dropped are a `lagged` item for iterators and one warning for callbacks', async () => {
    const { store } = await hosted({ eventBufferMax: 10 })
    const [one, two] = await Promise.all([store.init('one'), store.init('two')])
    const { port, hold, release } = holdable(store)
    const connected = await connectStore(port)
    const warnings = record(connected.events, 'warning')
    const heard: string[] = []
    connected.events.on('change', ({ key }) => heard.push(key))
    const all = iteratorOf(connected.events.iterate('change'))
    const some = iteratorOf(connected.events.iterate('change', { namespace: 'two' }))
    const none = iteratorOf(connected.events.iterate('change', { namespace: 'three' }))
    await connected.flush()
    hold()
    for (let index = 0; index < EVENT_WINDOW + 10; index++) await one.write(`k${index}`, '')
    for (let index = 0; index < 5; index++) await one.write(`missed${index}`, '')
    for (let index = 0; index < 3; index++) await two.write(`missed${index}`, '')
    release()
    const [warning] = await warnings.until(({ code }) => code === 'EVENTS_LAGGED')
    expect(warning!.message).toContain('8')
    expect(heard.length).toBe(EVENT_WINDOW + 10)
    const items = await take(all, 11)
    expect(items.slice(0, 10).every((item) => item.type === 'change')).toBe(true)
    expect(items[10]).toEqual({ type: 'lagged', missed: EVENT_WINDOW + 8 })
    expect(await take(some, 1)).toEqual([{ type: 'lagged', missed: 3 }])
    await two.write('next', '')
    expect(await take(some, 1)).toMatchObject([{ type: 'change', key: 'next' }])
    await connected.close()
    expect((await none.next()).done).toBe(true)
    expect(warnings.items.length).toBe(1)
  })
})

describe('warnings over connections', () => {
  const emitted: string[] = []
  beforeEach(() => {
    emitted.length = 0
    vi.spyOn(process, 'emitWarning').mockImplementation((message) => void emitted.push(String(message)))
  })
  afterEach(() => void vi.restoreAllMocks())

  /** A change that a listener in this thread fails at: a warning without a namespace. */
  async function failingListener(store: Store): Promise<(what: string) => Promise<WriteResult>> {
    const session = await store.init('n')
    store.events.on('change', ({ key }) => {
      throw new Error(key)
    })
    return (what) => session.write(what, '')
  }

  test('reach the process where the only connection that listens may not see them', async () => {
    const { store, connect } = await hosted()
    const warn = await failingListener(store)
    const bound = await connect({ namespaces: ['n'] })
    const heard = record(bound.events, 'warning')
    await bound.flush()
    await warn('of everybody')
    expect(emitted).toEqual([expect.stringContaining('of everybody')])
    const open = await connect()
    const heardToo = record(open.events, 'warning')
    await open.flush()
    await warn('heard')
    await heardToo.until(({ message }) => message.includes('heard'))
    expect([heard.items.length, emitted.length]).toEqual([0, 1])
  })

  test('reach the process where the connections that listen do so to other namespaces', async () => {
    const { store, connect } = await hosted()
    const connected = await connect()
    const heard = record(connected.events, 'warning', { namespace: 'm' })
    await connected.flush()
    for (const name of ['n', 'm']) {
      for (const writerId of ['ann', 'ben']) {
        const session = await store.init(name, { writer: { writerId }, conflictPolicy: 'warn' })
        await session.write('k', '')
      }
    }
    await heard.until(({ namespace }) => namespace === 'm')
    expect(emitted).toEqual([expect.stringContaining("in namespace 'n'")])
  })

  test('reach the process where the connection that listens takes none, and no more of them are kept', async () => {
    const { store } = await hosted({ eventBufferMax: 3 })
    const warn = await failingListener(store)
    const raw = new RawPort(store.createPort(), false)
    await raw.calls([CALL.EVENTS, 'warning', undefined, true])
    for (let index = 0; index < EVENT_WINDOW + 3; index++) await warn('kept')
    expect(emitted).toEqual([])
    await warn('not kept')
    expect(emitted).toEqual([expect.stringContaining('not kept')])
  })
})

describe('a watch over a connection', () => {
  test('I9: keeps no more than its bound, part of it with the thread that does not read', async () => {
    const { store, connect } = await hosted({ eventBufferMax: 1000 })
    const session = await (await connect()).init('n')
    const slow = iteratorOf(session.watch())
    const quick = session.watch({ prefix: 'last' })
    const local = await store.resume('n')
    for (let index = 0; index < 1200; index++) await local.write(`k${index}`, '')
    const last = await local.write('last', '')
    expect((await take(iteratorOf(quick), 1))[0]).toMatchObject({ key: 'last' })
    let count = 0
    const error = (await (async () => {
      for (;;) {
        await slow.next()
        count++
      }
    })().catch((failure: unknown) => failure)) as { code: string; lastRevision: number }
    expect(error.code).toBe('WATCH_OVERFLOW')
    expect(count).toBe(1000)
    const again = iteratorOf(session.watch({ afterRevision: error.lastRevision }))
    const rest = await take(again, 1201 - count)
    expect(rest.at(-1)).toMatchObject({ key: 'last', revision: last.revision })
    await again.return?.()
  })

  test('that is read keeps up with any number of changes', async () => {
    const { store, connect } = await hosted({ eventBufferMax: 50 })
    const session = await (await connect()).init('n')
    const items = iteratorOf(session.watch())
    const local = await store.resume('n')
    for (let index = 0; index < 1000; index++) {
      await local.write('k', String(index))
      expect((await items.next()).value).toMatchObject({ key: 'k' })
    }
    await items.return?.()
  })

  test('lets go at the store when it is left, fails or is aborted', async () => {
    const { connect, ports } = await hosted({ eventBufferMax: 2 })
    const session = await (await connect()).init('n')
    const left = iteratorOf(session.watch())
    const controller = new AbortController()
    const aborted = iteratorOf(session.watch({ signal: controller.signal }))
    const overflowing = iteratorOf(session.watch())
    const compacted = iteratorOf(session.watch({ afterRevision: 0 }))
    await session.write('a', '')
    expect(ports.counts.watches).toBeGreaterThanOrEqual(3)
    await left.return?.()
    controller.abort(new Error('enough'))
    await expect(aborted.next()).rejects.toThrow('enough')
    for (const key of ['b', 'c', 'd', 'e', 'f']) await session.write(key, '')
    await expect(collect({ [Symbol.asyncIterator]: () => overflowing })).rejects.toMatchObject({
      code: 'WATCH_OVERFLOW',
    })
    await compacted.return?.()
    await until(() => ports.counts.watches === 0)
  })

  test('I9: is refused when the connection has too many', async () => {
    const { connect } = await hosted({ connectionWatchesMax: 2 })
    const session = await (await connect()).init('n')
    const [one, two, three] = [1, 2, 3].map(() => iteratorOf(session.watch()))
    await expect(three!.next()).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 'connectionWatchesMax',
      max: 2,
    })
    expect((await three!.next()).done).toBe(true)
    await one!.return?.()
    const again = iteratorOf(session.watch())
    await session.write('k', '')
    expect((await take(again, 1)).length).toBe(1)
    await Promise.all([two!.return?.(), again.return?.()])
  })
})

/** A connection whose thread can be made to look at nothing for a while. */
function holdable(store: Store): { port: MessagePort; hold: () => void; release: () => void } {
  const { port1, port2 } = new MessageChannel()
  const given = store.createPort()
  port1.postMessage(receiveMessageOnPort(given)?.message)
  let held: unknown[] | null = null
  given.on('message', (message) => {
    if (held === null) port1.postMessage(message)
    else held.push(message)
  })
  port1.on('message', (message) => given.postMessage(message))
  port1.on('close', () => given.close())
  given.on('close', () => port1.close())
  return {
    port: port2,
    hold: () => (held = []),
    release: () => {
      for (const message of held ?? []) port1.postMessage(message)
      held = null
    },
  }
}
