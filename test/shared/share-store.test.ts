/** One owner after the other: what those who share a root notice of it, and what they don't. */
import { getEventListeners } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { openStore, shareStore, type Store } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { deferred, failureOf, iteratorOf, nextTurn, record, refusal } from '../../src/contract/observe.js'
import { stateError } from '../../src/errors.js'
import type { StoreParts } from '../../src/store-handle.js'
import { checkOpenOptions } from '../../src/open-options.js'
import { EventBus } from '../../src/event-bus.js'
import { SharedEvents } from '../../src/shared/shared-events.js'
import { SharedRoot } from '../../src/shared/shared-root.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { HeldBackend } from '../helpers/held-backend.js'
import { hostRoot, type HostedRoot } from '../remote/socket/hosted-root.js'

/** A root whose owner keeps commits back, and can go without a word. It has no lock: the next owner takes the root, empty. */
async function owned(): Promise<{ root: string; backend: HeldBackend; owner: HostedRoot }> {
  const root = temporaryDirectory()
  const backend = new HeldBackend()
  const owner = await hostRoot(backend, {}, root)
  onTestFinished(async () => {
    backend.holds = false
    await owner.close()
  })
  return { root, backend, owner }
}

function isConnected(store: Store): boolean {
  try {
    store.createPort().close()
    return true
  } catch {
    return false
  }
}

async function share(root: string): Promise<Store> {
  const store = await shareStore({ root, workers: 1 })
  onTestFinished(() => store.close({ flush: false }).catch(() => {}))
  return store
}

describe('shareStore', () => {
  test('opens a root that has no owner, and connects to one that has', async () => {
    const root = temporaryDirectory()
    const [first, second] = [await share(`${root}/new`), await share(`${root}/new`)]
    await (await first.init('n')).write('k', 'v')
    expect(await (await second.resume('n')).read('k')).toBe('v')
    await refusal('STORE_OWNED', () => openStore({ root: `${root}/new` }))
  })

  test('of several that are called at once, one opens the root and the others connect to it', async () => {
    const root = temporaryDirectory()
    const stores = await Promise.all(Array.from({ length: 6 }, () => share(root)))
    await Promise.all(stores.map(async (store, index) => (await store.init('n')).write(`k${index}`, '')))
    for (const store of stores) expect(await (await store.resume('n')).list()).toHaveLength(6)
  })

  test('takes the root over when its owner closes; sessions go on, and know what they saw', async () => {
    const root = temporaryDirectory()
    const owner = await openStore({ root, workers: 1 })
    const store = await share(root)
    const session = await store.init('n', { writer: { writerId: 'ann' }, conflictPolicy: 'error' })
    await (await owner.resume('n', { writer: { writerId: 'ben' } })).write('k', '1')
    expect(await session.read('k')).toBe('1')
    await owner.close()
    // It was ben's, but ann has seen it.
    expect(await session.write('k', '2')).toMatchObject({ conflict: null })
    expect(store.state).toBe('open')
    await refusal('STORE_OWNED', () => openStore({ root }))
  })

  test('waits for an owner that can not be reached as long as it is told to, and then says who has the root', async () => {
    const root = temporaryDirectory()
    const owner = await openStore({ root, workers: 1, socket: false })
    onTestFinished(() => owner.close())
    await refusal('STORE_OWNED', () => shareStore({ root, ownerWaitMs: 50 }))
    const controller = new AbortController()
    const waiting = shareStore({ root, signal: controller.signal })
    controller.abort(new Error('given up'))
    await expect(waiting).rejects.toThrow('given up')
  })

  test('every call waits for an owner as long as it was told to, whenever it was made', async () => {
    const { root, owner } = await owned()
    const ownerWaitMs = 700
    const store = await shareStore({ root, workers: 1, ownerWaitMs })
    onTestFinished(() => store.close({ flush: false }).catch(() => {}))
    const session = await store.init('n')
    const unreachable = await openStore({ root, workers: 1, socket: false })
    onTestFinished(() => unreachable.close())
    owner.cut()
    for (let call = 0; call < 3; call++) {
      const begin = performance.now()
      await refusal('STORE_OWNED', () => session.read('k'))
      expect(performance.now() - begin).toBeGreaterThanOrEqual(ownerWaitMs)
    }
  })

  test('an owner that hangs up on everybody is one that can not be reached', async () => {
    const root = temporaryDirectory()
    mkdirSync(`${root}/.agent_state`)
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((listening) => server.listen(`${root}/.agent_state/socket`, listening))
    onTestFinished(() => void server.close())
    const error = await refusal('STORE_OWNED', () => shareStore({ root, ownerWaitMs: 50 }))
    expect(error).toMatchObject({ pid: null, cause: { code: 'DISCONNECTED' } })
  })

  test('calls wait for an owner that is closing as long as they were told to, and go on when it has closed', async () => {
    const { root, backend, owner } = await owned()
    const ownerWaitMs = 300
    const store = await shareStore({ root, workers: 1, ownerWaitMs })
    onTestFinished(() => store.close({ flush: false }).catch(() => {}))
    const session = await store.init('n')
    const closing = deferred()
    backend.close = () => closing.promise.then(() => true)
    const closed = owner.close()
    for (let round = 0; round < 2; round++) {
      const begin = performance.now()
      const calls = [() => session.read('k'), () => session.write('k', ''), () => store.metrics()]
      await Promise.all(calls.map((call) => refusal('STORE_OWNED', call)))
      expect(performance.now() - begin).toBeGreaterThanOrEqual(ownerWaitMs)
    }
    const given = store.init('n')
    closing.resolve()
    await closed
    expect((await given).namespace).toBe('n')
  })

  test('of those who wait for an owner that is closing, each is told in its time who it is', async () => {
    const root = temporaryDirectory()
    const owner = await openStore({ root, workers: 1 })
    const settings = checkOpenOptions({ root })
    if (settings.kind !== 'file') throw new Error('a root was given')
    const connected = deferred()
    const shared = new SharedRoot(
      { ...settings, ownerWaitMs: 100 },
      { connected: () => connected.resolve, lost: () => {} },
    )
    await connected.promise
    const wait = (signal?: AbortSignal): Promise<StoreParts> =>
      new Promise((go, fail) => shared.when({ order: 0, not: shared.parts, go, fail }, signal))
    const controller = new AbortController()
    const [first, aborted] = [wait(), failureOf(() => wait(controller.signal))]
    await pause(50)
    const second = refusal('STORE_OWNED', () => wait())
    controller.abort(new Error('given up'))
    const error = await refusal('STORE_OWNED', () => first)
    expect(error).toMatchObject({ pid: process.pid, sameProcess: true, retryable: true })
    expect(error.since).toBeTypeOf('number')
    expect(await second).toMatchObject({ pid: process.pid })
    expect(await aborted).toMatchObject({ message: 'given up' })
    await (await shared.end())!.close({ flush: false })
    await owner.close()
  })

  test('closes while it looks for an owner', async () => {
    const root = temporaryDirectory()
    const owner = await openStore({ root, workers: 1, socket: false })
    onTestFinished(() => owner.close())
    const settings = checkOpenOptions({ root })
    if (settings.kind !== 'file') throw new Error('a root was given')
    const looking = new SharedRoot(
      { ...settings, ownerWaitMs: 0 },
      { connected: () => () => {}, lost: () => {} },
    )
    expect(await looking.end()).toBeNull()
  })

  test('keeps the process alive while somebody waits, also for the owner to be gone that it is connected to', async () => {
    const root = temporaryDirectory()
    const owner = await openStore({ root, workers: 1 })
    const settings = checkOpenOptions({ root })
    if (settings.kind !== 'file') throw new Error('a root was given')
    const connected = deferred()
    const shared = new SharedRoot(
      { ...settings, ownerWaitMs: 30_000 },
      { connected: () => connected.resolve, lost: () => {} },
    )
    await connected.promise
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const waiting = deferred<StoreParts>()
    shared.when({ order: 0, not: shared.parts, go: waiting.resolve, fail: waiting.reject }, undefined)
    expect(timers()).toBe(before + 1)
    await owner.close()
    expect((await waiting.promise).host.state).toBe('open')
    expect(timers()).toBeLessThanOrEqual(before)
    await (await shared.end())!.close({ flush: false })
  })

  test('refuses what can not be shared, and roots that can not be opened', async () => {
    expect(await failureOf(() => shareStore({ backend: new HeldBackend() } as never))).toBeInstanceOf(
      TypeError,
    )
    await refusal('ROOT_UNUSABLE', () => shareStore({ root: '/dev/null' }))
  })
})

describe('I11: an owner that goes without a word', () => {
  test('a change of which nobody knows is told to be unknown; what changed nothing is asked of the next', async () => {
    const { root, backend, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    backend.holds = true
    const write = session.write('k', 'lost')
    const commit = await backend.nextCommit()
    owner.cut()
    await refusal('OUTCOME_UNKNOWN', () => write)
    const later = [store.init('n'), session.write('k', 'again')]
    await commit.proceed()
    await Promise.all(later)
    expect(await session.read('k')).toBe('again')
  })

  test('calls that wait for the next owner are made in the order in which they were called', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    const closed = owner.close()
    // The first one finds that the owner is closing, some a connection that is lost, and the last ones none.
    const created = store.init('n')
    const writes = Array.from({ length: 50 }, (_, index) => session.write('k', `${index}`))
    await Promise.all([closed, created])
    const revisions = (await Promise.all(writes)).map((result) => result.revision)
    expect(revisions).toEqual(revisions.toSorted((one, other) => one - other))
    expect(await session.read('k')).toBe('49')
  })

  test('what the function of an update throws is the caller’s, whatever its code is', async () => {
    const { root } = await owned()
    const session = await (await share(root)).init('n')
    const lost = stateError('DISCONNECTED', 'another store has gone', {})
    const updating = session.update('k', () => Promise.reject(lost))
    await expect(updating).rejects.toBe(lost)
  })

  test('an update is begun anew', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    const [entered, go] = [deferred(), deferred()]
    let calls = 0
    const updating = session.update('k', async (text) => {
      calls++
      entered.resolve()
      await go.promise
      return `${text} ${calls}`
    })
    await entered.promise
    owner.cut()
    await store.init('n').catch(() => store.init('n'))
    go.resolve()
    await updating
    expect(await session.read('k')).toMatch(/^null [12]$/)
  })

  test('what waits is given up with its signal, and with the store', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    owner.cut()
    const controller = new AbortController()
    const reason = new Error('given up')
    // The root has no owner, so the store opens it: both ends are possible, neither takes for ever.
    const waiting = session.read('k', { signal: controller.signal }).catch((error: unknown) => error)
    controller.abort(reason)
    expect([reason, null]).toContain(await waiting)
    await store.close()
    await refusal('STORE_CLOSED', () => session.read('k'))
    expect(store.state).toBe('closed')
  })

  test('I3: what a listener writes when the next owner is there does not overtake what has waited for it', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    store.events.on('change', () => {})
    const late = deferred<unknown>()
    store.events.on('warning', ({ code }) => {
      if (code === 'EVENTS_LAGGED') late.resolve(session.write('k', 'late'))
    })
    owner.cut()
    while (isConnected(store)) await nextTurn()
    await Promise.all([store.init('n'), session.write('k', 'early'), late.promise])
    expect(await session.read('k')).toBe('late')
  })

  test('I9: a signal that outlives owners keeps nothing of them, and nothing of a store that was closed', async () => {
    const { signal } = new AbortController()
    const events = new SharedEvents(10)
    events.on('change', () => {}, { signal })
    for (let count = 0; count < 10; count++) {
      events.connected(new EventBus(10))
      events.lost()
    }
    events.connected(new EventBus(10))()
    events.closed(true)
    await nextTurn()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('subscriptions are made anew, and what may be missing is told', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const changes = record(store.events, 'change')
    const warnings = record(store.events, 'warning')
    const iterator = iteratorOf(store.events.iterate('change', { namespace: 'n' }))
    const session = await store.init('n')
    await session.write('before', '')
    expect((await iterator.next()).value).toMatchObject({ type: 'change', key: 'before' })
    owner.cut()
    await store.init('n').catch(() => store.init('n'))
    await session.write('after', '')
    await changes.until(({ key }) => key === 'after')
    await warnings.until(({ code }) => code === 'EVENTS_LAGGED')
    expect((await iterator.next()).value).toEqual({ type: 'lagged', missed: Infinity })
    expect((await iterator.next()).value).toMatchObject({ type: 'change', key: 'after' })
    const pending = iterator.next()
    const closed = record(store.events, 'closed')
    await store.close({ flush: false })
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(closed.items).toHaveLength(1)
  })

  test('a watch fails behind what has come, and a new one goes on', async () => {
    const { root, owner } = await owned()
    const store = await share(root)
    const session = await store.init('n')
    const items = iteratorOf(session.watch())
    await session.write('k', '')
    owner.cut()
    expect((await items.next()).value).toMatchObject({ key: 'k' })
    await refusal('DISCONNECTED', () => items.next())
    expect(await items.next()).toEqual({ done: true, value: undefined })
    await store.init('n').catch(() => store.init('n'))
    const again = iteratorOf(session.watch({ initial: true }))
    expect((await again.next()).value).toMatchObject({ type: 'ready' })
    await again.return?.()
    expect(await again.next()).toEqual({ done: true, value: undefined })
  })
})
