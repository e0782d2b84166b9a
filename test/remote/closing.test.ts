import { describe, expect, test } from 'vitest'
import type { EventMap, Store } from '../../src/api.js'
import { collect, deferred, failureOf, iteratorOf, refusal, take } from '../../src/contract/observe.js'
import { connectStore } from '../../src/remote/connect.js'
import { stateError } from '../../src/errors.js'
import { hosted, until } from './hosted.js'
import type { HeldBackend } from '../helpers/held-backend.js'
import { RawPort, relay } from './raw-port.js'

describe('closing a connection', () => {
  test('lets what is under way finish, and leaves the store open', async () => {
    const { backend, connect, store, ports } = await hosted()
    const connected = await connect()
    const session = await connected.init('n')
    backend.holds = true
    const writing = session.write('k', '1')
    const commit = await backend.nextCommit()
    const closing = connected.close()
    await refusal('STORE_CLOSED', () => session.write('l', '1'))
    backend.holds = false
    await commit.proceed()
    await closing
    expect(await writing).toMatchObject({ key: 'k' })
    expect([connected.state, store.state]).toEqual(['closed', 'open'])
    expect(await (await store.resume('n')).read('k')).toBe('1')
    await until(() => ports.counts.connections === 0)
  })

  test('also finishes what still waited for credits', async () => {
    const { connect, store } = await hosted({ connectionOperationsMax: 2 })
    const connected = await connect()
    const session = await connected.init('n')
    const calls = Array.from({ length: 40 }, (_, index) => session.write(`k${index}`, ''))
    await connected.close()
    await Promise.all(calls)
    expect((await (await store.resume('n')).list()).length).toBe(40)
  })

  test('gives back turns that its updates hold or wait for', async () => {
    const { connect, store, coordinator } = await hosted()
    const [one, two] = await Promise.all([connect(), connect()])
    const [first, second] = await Promise.all([one.init('n'), two.init('n')])
    const started = deferred()
    const holding = first.update('k', () => {
      started.resolve()
      return new Promise<string>(() => {})
    })
    await started.promise
    const waiting = second.update('k', () => 'never')
    const local = (await store.resume('n')).update('k', (value) => `${value} local`)
    await until(() => two.state === 'open')
    const failures = [failureOf(() => waiting), failureOf(() => holding)]
    await two.close()
    await one.close()
    expect(await Promise.all(failures)).toMatchObject([{ code: 'STORE_CLOSED' }, { code: 'STORE_CLOSED' }])
    expect(await local).toMatchObject({ key: 'k' })
    expect(coordinator.turnsHeld).toBe(0)
  })

  test('flushes by default and tells when the tree could not be brought up to date', async () => {
    const { backend, connect, store } = await hosted()
    const [connected, other] = await Promise.all([connect(), connect()])
    const events: EventMap['closed'][] = []
    connected.events.on('closed', (event) => events.push(event))
    other.events.on('closed', (event) => events.push(event))
    backend.flush = () => Promise.reject(stateError('TREE_STUCK', 'stuck', {}))
    await refusal('CLOSE_INCOMPLETE', () => connected.close())
    await other.close({ flush: false })
    expect(events).toEqual([{ flushed: false }, { flushed: false }])
    expect([connected.state, other.state, store.state]).toEqual(['closed', 'closed', 'open'])
  })

  test('ends its watches and iterators behind what was there, and those of nobody else', async () => {
    const { connect, store } = await hosted()
    const connected = await connect()
    const session = await connected.init('n')
    const mine = session.watch()
    const events = connected.events.iterate('change')
    const theirs = iteratorOf((await store.resume('n')).watch())
    await session.write('a', '')
    await session.write('b', '')
    await connected.close()
    expect((await collect(mine)).map((item) => item.type)).toEqual(['change', 'change'])
    expect((await collect(events)).length).toBe(2)
    await (await store.resume('n')).write('c', '')
    expect((await take(theirs, 3)).length).toBe(3)
    await theirs.return?.()
  })
})

describe('a store that is closed by its owner', () => {
  test('first finishes what connections asked, and delivers the answers', async () => {
    const { backend, connect, store } = await hosted()
    const sessions = await Promise.all([connect(), connect()])
    const [one, two] = await Promise.all(sessions.map((connected) => connected.init('n')))
    backend.holds = true
    const sealed = one!.write('sealed', '1')
    const commit = await backend.nextCommit()
    const queued = two!.write('queued', '1')
    const head = two!.stat('missing')
    await head
    const closing = store.close()
    backend.holds = false
    await commit.proceed()
    await closing
    expect(await sealed).toMatchObject({ key: 'sealed' })
    expect(await queued).toMatchObject({ key: 'queued' })
  })

  test('I11: every call after that is DISCONNECTED and unchanged; `closed` tells whether it was flushed', async () => {
    const { connect, store } = await hosted()
    const connected = await connect()
    const session = await connected.init('n')
    const closed = new Promise<EventMap['closed']>((resolve) => connected.events.on('closed', resolve))
    const items = iteratorOf(session.watch())
    const changes = connected.events.iterate('change')
    await session.write('k', '1')
    await store.close()
    expect(await closed).toEqual({ flushed: true })
    expect(connected.state).toBe('closed')
    const calls: (() => unknown)[] = [
      () => session.read('k'),
      () => session.write('k', '2'),
      () => session.update('k', () => '2'),
      () => session.list(),
      () => session.with({}).stat('k'),
      () => iteratorOf(session.watch()).next(),
      () => session.batch([]),
      () => connected.init('m'),
      () => connected.flush(),
      () => collect(connected.namespaces()),
      async () => connected.createPort(),
    ]
    for (const call of calls) expect((await refusal('DISCONNECTED', call)).outcome).toBe('unchanged')
    expect((await collect({ [Symbol.asyncIterator]: () => items })).length).toBe(1)
    expect((await collect(changes)).length).toBe(1)
    expect(await collect(connected.events.iterate('change'))).toEqual([])
    await connected.close()
    await connected[Symbol.asyncDispose]()
  })

  test('I11: refuses what comes while it closes, and answers updates whose functions never return', async () => {
    const { backend, connect, store } = await hosted()
    const connected = await connect()
    const session = await connected.init('n')
    const started = deferred()
    const holding = session.update('k', () => {
      started.resolve()
      return new Promise<string>(() => {})
    })
    const waiting = session.update('k', () => 'x')
    await started.promise
    const failures = [failureOf(() => holding), failureOf(() => waiting)]
    backend.holds = true
    const sealed = session.write('sealed', '')
    const commit = await backend.nextCommit()
    const closing = store.close()
    expect((await refusal('DISCONNECTED', () => session.write('late', ''))).outcome).toBe('unchanged')
    expect((await refusal('DISCONNECTED', () => session.read('k'))).outcome).toBe('unchanged')
    backend.holds = false
    await commit.proceed()
    await closing
    await sealed
    for (const error of await Promise.all(failures)) {
      expect(error).toMatchObject({ code: 'DISCONNECTED', outcome: 'unchanged' })
    }
  })

  test('does not wait for a connection that reads nothing of what it is sent', async () => {
    const { store } = await hosted({ connectionBytesMax: 10 })
    const session = await store.init('n')
    await session.write('k', 'x'.repeat(1000))
    const raw = new RawPort(store.createPort(), false)
    await raw.calls(Array.from({ length: 10 }, (_, index) => [5, index + 1, 'n', 'k']).flat())
    await store.close()
    await raw.closed
  })

  test('closes ports that nobody has connected', async () => {
    const { store } = await hosted()
    const port = store.createPort()
    await store.close()
    await refusal('DISCONNECTED', () => connectStore(port))
  })
})

describe('a port that is closed under a connection', () => {
  /** As when the store's thread ends: nothing is said before. */
  async function lost(): Promise<{ connected: Store; cut: () => void; backend: HeldBackend }> {
    const { backend, store } = await hosted()
    const { port, cut } = relay(store.createPort())
    return { connected: await connectStore(port), cut, backend }
  }

  test('I11: a change that was sent and not answered is OUTCOME_UNKNOWN, everything else DISCONNECTED and unchanged', async () => {
    const { backend, connected, cut } = await lost()
    const session = await connected.init('n')
    const limits = 1024
    backend.holds = true
    const sent = Array.from({ length: limits }, (_, index) => session.write(`k${index}`, 'x'))
    const unsent = Array.from({ length: 5 }, (_, index) => session.write(`later${index}`, 'x'))
    const turn = session.update('k', () => new Promise<string>(() => {}))
    const commit = await backend.nextCommit()
    const failures = [...sent, ...unsent, turn].map((call) => failureOf(() => call))
    cut()
    const errors = (await Promise.all(failures)) as { code: string; outcome: string; revision?: unknown }[]
    for (const error of errors.slice(0, limits)) {
      expect(error).toMatchObject({
        code: 'OUTCOME_UNKNOWN',
        outcome: 'unknown',
        revision: null,
        namespace: 'n',
      })
      expect(error).toMatchObject({ cause: { code: 'DISCONNECTED' } })
    }
    for (const error of errors.slice(limits)) {
      expect(error).toMatchObject({ code: 'DISCONNECTED', outcome: 'unchanged' })
    }
    expect(connected.state).toBe('closed')
    backend.holds = false
    await commit.proceed()
  })

  test('by its own thread: what had not left the thread is unchanged, and the store lets go of the rest', async () => {
    const { backend, store, ports } = await hosted()
    const port = store.createPort()
    const session = await (await connectStore(port)).init('n')
    backend.holds = true
    const posted = failureOf(() => session.write('sealed', ''))
    const commit = await backend.nextCommit()
    const dropped = failureOf(() => session.write('waiting', ''))
    await until(() => ports.counts.calls === 2)
    const unsent = failureOf(() => session.write('unsent', ''))
    port.close()
    expect(await posted).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await dropped).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await unsent).toMatchObject({ code: 'DISCONNECTED', outcome: 'unchanged' })
    await until(() => ports.counts.connections === 0)
    backend.holds = false
    await commit.proceed()
    expect(await (await store.resume('n')).list()).toEqual(['sealed'])
    port.close()
  })

  test('publishes `closed` once, ends iterators, and can still be closed', async () => {
    const { connected, cut } = await lost()
    const session = await connected.init('n')
    const closed: EventMap['closed'][] = []
    connected.events.on('closed', (event) => closed.push(event))
    const items = iteratorOf(session.watch())
    const pending = items.next()
    cut()
    expect((await pending).done).toBe(true)
    expect(closed).toEqual([{ flushed: false }])
    await Promise.all([connected.close(), connected.close()])
    expect(closed.length).toBe(1)
    expect((await refusal('DISCONNECTED', () => session.read('k'))).outcome).toBe('unchanged')
  })

  test('while it is being closed: closing resolves', async () => {
    const { backend, connected, cut } = await lost()
    const session = await connected.init('n')
    backend.holds = true
    const writing = failureOf(() => session.write('k', ''))
    const commit = await backend.nextCommit()
    const closing = connected.close()
    cut()
    await closing
    expect(await writing).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    backend.holds = false
    await commit.proceed()
  })
})

test('I11: metrics of a store that is closing are refused, and what is under way through the connection is answered', async () => {
  const { backend, connect, store } = await hosted()
  const connected = await connect()
  const session = await connected.init('n')
  backend.holds = true
  const writing = session.write('k', '1')
  const commit = await backend.nextCommit()
  const closing = store.close()
  await refusal('DISCONNECTED', () => connected.metrics())
  backend.holds = false
  await commit.proceed()
  expect(await writing).toMatchObject({ key: 'k' })
  await closing
})
