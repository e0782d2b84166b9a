import { describe, expect, test } from 'vitest'
import type { PortBounds, Store, WatchItem } from '../../src/api.js'
import { collect, iteratorOf, misuse, record, refusal, take } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { hosted, until } from './hosted.js'
import { RawPort } from './raw-port.js'
import { ANSWER, CALL } from '../../src/remote/wire.js'

async function everythingIn(store: Store, namespace: string): Promise<Record<string, () => unknown>> {
  const session = await store.resume('allowed')
  return {
    init: () => store.init(namespace),
    resume: () => store.resume(namespace),
    remove: () => store.remove(namespace),
    ...(namespace === 'allowed' ? {} : { 'init without a name': () => store.init() }),
    write: () => session.write('k', '1'),
    delete: () => session.delete('k'),
    batch: () => session.batch([{ write: 'k', value: '1' }]),
    update: () => session.update('k', () => '1'),
    writeHandoff: () => session.writeHandoff({}),
  }
}

describe('bounds on namespaces', () => {
  test('keep every call to the namespaces that are listed', async () => {
    const { store, connect } = await hosted()
    await Promise.all([store.init('allowed'), store.init('secret')])
    const bound = await connect({ namespaces: ['allowed', 'not yet'] })
    for (const [name, call] of Object.entries(await everythingIn(bound, 'secret')).slice(0, 4)) {
      const error = await refusal('NOT_ALLOWED', call)
      expect(error.outcome, name).toBe('unchanged')
    }
    const session = await bound.resume('allowed')
    await session.write('k', '1')
    await bound.init('not yet')
    expect(await collect(bound.namespaces())).toEqual(['allowed', 'not yet'])
    expect(await collect(bound.namespaces({ limit: 1, reverse: true }))).toEqual(['not yet'])
    expect(await collect(store.namespaces())).toEqual(['allowed', 'not yet', 'secret'])
    expect(await bound.remove('not yet')).toBe(true)
  })

  test('keep events and warnings of other namespaces away', async () => {
    const { store, connect } = await hosted()
    const bound = await connect({ namespaces: ['allowed'] })
    const seen: string[] = []
    for (const type of ['change', 'conflict', 'warning', 'external'] as const) {
      bound.events.on(type, (event) => seen.push(`${type} ${JSON.stringify(event)}`))
    }
    const secretChanges = record(bound.events, 'change', { namespace: 'secret' })
    const marker = record(bound.events, 'change')
    for (const namespace of ['secret', 'allowed']) {
      const ann = await store.init(namespace, { writer: { writerId: 'ann' }, conflictPolicy: 'warn' })
      const ben = await store.init(namespace, { writer: { writerId: 'ben' }, conflictPolicy: 'warn' })
      await ann.write('k', '1')
      await ben.write('k', '2')
    }
    await (await store.resume('allowed')).write('marker', '')
    await marker.until((change) => change.key === 'marker')
    expect(seen.filter((event) => event.includes('secret'))).toEqual([])
    expect(seen.filter((event) => event.startsWith('conflict')).length).toBe(1)
    expect(seen.filter((event) => event.startsWith('warning')).length).toBe(1)
    expect(secretChanges.items).toEqual([])
  })

  test('refuse a watch through a raw port too', async () => {
    const { store } = await hosted()
    await store.init('secret')
    const raw = new RawPort(store.createPort({ namespaces: ['allowed'] }))
    await raw.calls([CALL.WATCH, 1, 'secret', undefined, undefined, true])
    const { list } = await raw.delivery()
    expect(list).toMatchObject([ANSWER.WATCH_END, 1, { fields: { code: 'NOT_ALLOWED' } }])
  })

  test('can be empty: then nothing is allowed', async () => {
    const { store, connect } = await hosted()
    await store.init('a')
    const bound = await connect({ namespaces: [] })
    await refusal('NOT_ALLOWED', () => bound.resume('a'))
    expect(await collect(bound.namespaces())).toEqual([])
  })
})

describe('a connection that may read only', () => {
  test('changes nothing, and reads, lists, watches and listens', async () => {
    const { store, connect } = await hosted()
    const local = await store.init('allowed')
    await local.write('k', '1')
    const bound = await connect({ readOnly: true })
    for (const [name, call] of Object.entries(await everythingIn(bound, 'allowed'))) {
      if (name === 'resume') continue
      const error = await refusal('NOT_ALLOWED', call)
      expect(error.outcome, name).toBe('unchanged')
    }
    const session = await bound.resume('allowed')
    expect(await session.read('k')).toBe('1')
    expect(await session.list()).toEqual(['k'])
    const items: AsyncIterator<WatchItem> = iteratorOf(session.watch({ initial: true }))
    const changes = record(bound.events, 'change')
    await bound.flush()
    await local.write('l', '1')
    expect((await take(items, 3)).map((item) => item.type)).toEqual(['initial', 'ready', 'change'])
    await changes.until((change) => change.key === 'l')
    await items.return?.()
    expect(await local.list()).toEqual(['k', 'l'])
  })
})

describe('a connection with a fixed writer', () => {
  const bounds: PortBounds = { writer: { writerId: 'bound', stageId: 's' } }

  test('writes as that one without having to say it', async () => {
    const { store, connect } = await hosted()
    const bound = await connect(bounds)
    const session = await bound.init('n')
    expect(session.writer).toEqual({ writerId: 'bound', stageId: 's' })
    await session.write('k', '1')
    expect((await (await store.resume('n')).stat('k'))!.writer).toEqual({ writerId: 'bound', stageId: 's' })
    expect((await bound.resume('n', { writer: { stageId: 's', writerId: 'bound' } })).writer).toEqual(
      session.writer,
    )
  })

  test('writes as nobody else, not even as nobody', async () => {
    const { store, connect } = await hosted()
    const bound = await connect(bounds)
    const session = await bound.init('n')
    const others = [{ writerId: 'other' }, { writerId: 'bound' }, { stageId: 's' }, {}]
    for (const writer of others) {
      await refusal('NOT_ALLOWED', () => bound.init('n', { writer }))
      await refusal('NOT_ALLOWED', () => bound.resume('n', { writer }))
      await refusal('NOT_ALLOWED', async () => session.with({ writer }))
    }
    await refusal('NOT_ALLOWED', async () => {
      const other = await connectStore(store.createPort(bounds), { writer: { writerId: 'other' } })
      return other.init('n')
    })
  })

  test('has it applied by the host, whatever a raw port says', async () => {
    const { store } = await hosted()
    const local = await store.init('n')
    const raw = new RawPort(store.createPort(bounds))
    const terms = (slot: number, ...writer: unknown[]): unknown[] => [
      ...[CALL.TERMS, slot, ...writer],
      ...['ignore', 'lost-update', 'journal', false],
    ]
    const nobody = [undefined, undefined, undefined, undefined]
    const write = (id: number, slot: number): unknown[] => [
      ...[CALL.CHANGE, id, 'n', slot, true, 1],
      ...[true, `k${id}`, 1, undefined, undefined],
    ]
    await raw.calls(
      [
        ...terms(0, 'mallory', undefined, undefined, undefined),
        ...write(1, 0),
        ...terms(1, ...nobody),
        ...write(2, 1),
      ],
      new Uint8Array(2),
    )
    const answers: unknown[] = []
    await until(() => raw.messages.length >= 2)
    while (answers.length < 6) answers.push(...(await raw.delivery()).list)
    expect(answers).toMatchObject([
      ANSWER.FAILED,
      1,
      { fields: { code: 'NOT_ALLOWED' } },
      ANSWER.WRITTEN,
      2,
      2,
    ])
    expect(await local.stat('k1')).toBeNull()
    expect((await local.stat('k2'))!.writer).toEqual({ writerId: 'bound', stageId: 's' })
  })
})

describe('a port that a connection makes', () => {
  test('has the bounds of both', async () => {
    const { store, connect } = await hosted()
    await Promise.all(['a', 'b', 'c'].map((name) => store.init(name)))
    const first = await connect({ namespaces: ['a', 'b'] })
    const second = await connectStore(first.createPort({ namespaces: ['b', 'c'], readOnly: true }))
    await refusal('NOT_ALLOWED', () => second.resume('a'))
    await refusal('NOT_ALLOWED', () => second.resume('c'))
    const session = await second.resume('b')
    await refusal('NOT_ALLOWED', () => session.write('k', ''))
    const third = await connectStore(second.createPort({ readOnly: false }))
    await refusal('NOT_ALLOWED', async () => (await third.resume('b')).write('k', ''))
    await Promise.all([third.close(), second.close()])
    await (await first.resume('b')).write('k', '')
  })

  test('keeps a fixed writer, and can fix one', async () => {
    const { connect } = await hosted()
    const fixed = await connect({ writer: { writerId: 'ann' } })
    await refusal('NOT_ALLOWED', async () => fixed.createPort({ writer: { writerId: 'ben' } }))
    const same = await connectStore(fixed.createPort({ writer: { writerId: 'ann' } }))
    expect((await same.init('n')).writer).toEqual({ writerId: 'ann' })
    const free = await connect()
    const bound = await connectStore(free.createPort({ writer: { writerId: 'cid' } }))
    expect((await bound.resume('n')).writer).toEqual({ writerId: 'cid' })
    await Promise.all([same.close(), bound.close()])
  })

  test('lives on when the connection that made it is closed', async () => {
    const { connect } = await hosted()
    const first = await connect()
    const second = await connectStore(first.createPort())
    await first.close()
    expect((await second.init('n')).namespace).toBe('n')
    await second.close()
  })

  test('that was not sent before its connection ended is closed: nobody waits at its other end', async () => {
    const { store } = await hosted()
    const port = store.createPort()
    const connected = await connectStore(port)
    const made = connected.createPort()
    port.close()
    await refusal('DISCONNECTED', () => connectStore(made))
  })

  test('I9: is closed when there are too many of them, until others are', async () => {
    const { connect, ports } = await hosted({ connectionPortsMax: 2 })
    const first = await connect()
    const second = await connectStore(first.createPort())
    const third = await connectStore(second.createPort())
    await refusal('DISCONNECTED', () => connectStore(first.createPort()))
    await refusal('DISCONNECTED', () => connectStore(third.createPort()))
    await third.close()
    await until(() => ports.counts.connections === 2)
    const again = await connectStore(second.createPort())
    await Promise.all([again.close(), second.close()])
  })
})

test('bounds that make no sense are misuse', async () => {
  const { store, connect } = await hosted()
  const wrong: readonly unknown[] = [
    null,
    7,
    [],
    { namespace: ['a'] },
    { namespaces: 'a' },
    { namespaces: null },
    { namespaces: [1] },
    { readOnly: 'yes' },
    { readOnly: null },
    { writer: {} },
    { writer: null },
    { writer: 'ann' },
    { writer: { id: 'ann' } },
  ]
  for (const maker of [store, await connect()]) {
    for (const bounds of wrong) {
      expect(await misuse(async () => maker.createPort(bounds as PortBounds))).toBeInstanceOf(TypeError)
    }
    await refusal('INVALID_NAMESPACE', async () => maker.createPort({ namespaces: ['../up'] }))
  }
})
