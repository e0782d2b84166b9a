import { onTestFinished, describe, expect, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import {
  collect,
  failureOf,
  iteratorOf,
  nextTurn,
  record,
  refusal,
  takeUntil,
} from '../../src/contract/observe.js'
import type { Limits } from '../../src/limits.js'
import { openStore } from '../../src/store.js'
import { HeldBackend } from '../helpers/held-backend.js'

interface Opened {
  readonly backend: HeldBackend
  readonly store: Store
  readonly ann: Session
  readonly ben: Session
}

async function opened(limits?: Partial<Limits>): Promise<Opened> {
  const backend = new HeldBackend()
  const store = await openStore({ backend, limits })
  onTestFinished(() => store.close())
  const ann = await store.init('n', { writer: { writerId: 'ann' } })
  const ben = await store.init('n', { writer: { writerId: 'ben' } })
  return { backend, store, ann, ben }
}

/** Follows a promise without waiting for it. */
function follow(promise: Promise<unknown>): { readonly state: 'pending' | 'resolved' | 'rejected' } {
  const followed: { state: 'pending' | 'resolved' | 'rejected' } = { state: 'pending' }
  promise.then(
    () => (followed.state = 'resolved'),
    () => (followed.state = 'rejected'),
  )
  return followed
}

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn()
}

describe('before the acknowledgement', () => {
  test('I1: a write, delete, batch and update resolve only when the backend has answered', async () => {
    const { backend, ann } = await opened()
    await ann.write('old', '1')
    await ann.write('counter', '1')
    backend.holds = true
    const calls = [
      ann.write('a', '1'),
      ann.delete('old'),
      ann.batch([{ write: 'b', value: '1' }]),
      ann.update('counter', (value) => `${value}1`),
    ]
    const followed = calls.map(follow)
    await turns()
    const first = await backend.nextCommit()
    await turns()
    expect(followed.map((call) => call.state)).toEqual(['pending', 'pending', 'pending', 'pending'])
    backend.holds = false
    await first.proceed()
    await Promise.all(calls)
    expect(await ann.read('counter')).toBe('11')
  })

  test('I2: no reader, event, watch or list shows a change before the backend has answered, the writer included', async () => {
    const { backend, store, ann, ben } = await opened()
    const before = await ann.write('k', 'before')
    const changes = record(store.events, 'change')
    const conflicts = record(store.events, 'conflict')
    const items = iteratorOf(ben.watch())
    backend.holds = true
    const writing = ben.batch(
      [
        { write: 'k', value: 'after' },
        { write: 'new', value: '' },
      ],
      { detect: 'writer-change' },
    )
    const commit = await backend.nextCommit()
    await turns()
    for (const session of [ann, ben]) {
      expect(await session.read('k')).toBe('before')
      expect(await session.stat('k')).toMatchObject({
        revision: before.revision,
        writer: { writerId: 'ann' },
      })
      expect(await session.list()).toEqual(['k'])
      expect((await collect(session.entries())).length).toBe(1)
      expect(await session.read('new')).toBeNull()
      const watched = iteratorOf(session.watch({ initial: true }))
      const shown = await takeUntil(watched, (list) => list.at(-1)?.type === 'ready')
      expect(shown).toMatchObject([{ key: 'k', revision: before.revision }, { type: 'ready' }])
      await watched.return?.()
    }
    expect([changes.items.length, conflicts.items.length]).toEqual([0, 0])
    const pending = follow(items.next())
    await turns()
    expect(pending.state).toBe('pending')
    await commit.proceed()
    await writing
    await changes.until((change) => change.key === 'new')
    expect(conflicts.items.length).toBe(1)
    await items.return?.()
  })

  test('I2: a namespace being made is not there, and one being removed is', async () => {
    const { backend, store, ann } = await opened()
    await ann.write('k', '1')
    backend.holds = true
    const making = store.init('made')
    const removing = store.remove('n')
    const commit = await backend.nextCommit()
    await turns()
    expect(await collect(store.namespaces())).toEqual(['n'])
    await refusal('NAMESPACE_NOT_FOUND', () => store.resume('made'))
    expect(await ann.read('k')).toBe('1')
    backend.holds = false
    await commit.proceed()
    await Promise.all([making, removing])
    expect(await collect(store.namespaces())).toEqual(['made'])
  })

  test('a conflict of a later write is found against one that is still being made durable, and refused only then', async () => {
    const { backend, ann, ben } = await opened()
    backend.holds = true
    const first = ann.write('k', '1')
    const second = follow(ben.write('k', '2', { conflictPolicy: 'error' }))
    const commit = await backend.nextCommit()
    await turns()
    expect(second.state).toBe('pending')
    backend.holds = false
    await commit.proceed()
    await first
    await turns()
    expect(second.state).toBe('rejected')
    expect(await ben.read('k')).toBe('1')
  })

  test('I8: when the commit that a refusal was based on fails, the refused write is not told of a conflict that never was', async () => {
    const { backend, ann, ben } = await opened()
    backend.holds = true
    const first = failureOf(() => ann.write('k', '1'))
    const second = ben.write('k', '2', { conflictPolicy: 'error' })
    const commit = await backend.nextCommit()
    const error = Object.assign(new Error('no room'), { code: 'NO_SPACE' })
    backend.holds = false
    commit.answerAll({ status: 'rejected', error: error as never })
    expect(await first).toBe(error)
    expect((await second).conflict).toBeNull()
    expect(await ann.read('k')).toBe('2')
  })
})

describe('aborting', () => {
  test('until its group is sealed an aborted call changes nothing; afterwards the abort is ignored', async () => {
    const { backend, ann } = await opened()
    backend.holds = true
    const sealed = new AbortController()
    const queued = new AbortController()
    const first = ann.write('sealed', '1', { signal: sealed.signal })
    const commit = await backend.nextCommit()
    const second = ann.write('queued', '1', { signal: queued.signal })
    const third = ann.write('behind', '1')
    const reason = new Error('changed my mind')
    sealed.abort(reason)
    queued.abort(reason)
    expect(await failureOf(() => second)).toBe(reason)
    backend.holds = false
    await commit.proceed()
    expect((await first).key).toBe('sealed')
    await third
    expect(await ann.list()).toEqual(['behind', 'sealed'])
  })

  test('I9: what an aborted call held of a full queue is free for the next', async () => {
    const { backend, ann } = await opened({ queueOperationsMax: 2, groupOperationsMax: 1 })
    backend.holds = true
    const first = ann.write('first', '')
    const commit = await backend.nextCommit()
    const controllers = Array.from({ length: 20 }, () => new AbortController())
    const given = controllers.map(({ signal }, index) =>
      failureOf(() => ann.write(`k${index}`, '', { signal })),
    )
    const last = ann.write('last', '')
    for (const controller of controllers) controller.abort(new Error('enough'))
    await Promise.all(given)
    backend.holds = false
    await commit.proceed()
    await Promise.all([first, last])
    expect(await ann.list()).toEqual(['first', 'last'])
  })

  test('aborting `flush` or `close` gives up waiting, and both go on', async () => {
    const { backend, store, ann } = await opened()
    backend.holds = true
    const writing = ann.write('k', '1')
    const commit = await backend.nextCommit()
    const controller = new AbortController()
    const closing = failureOf(() => store.close({ signal: controller.signal }))
    const reason = new Error('not waiting')
    controller.abort(reason)
    expect(await closing).toBe(reason)
    await commit.proceed()
    expect((await writing).key).toBe('k')
    await store.close()
    expect(store.state).toBe('closed')
  })
})

describe('groups', () => {
  test('I3: what queues while a commit is under way goes out together, one plan a namespace, in order', async () => {
    const { backend, store, ann } = await opened()
    const other = await store.init('m')
    backend.holds = true
    const first = ann.write('first', '')
    const commit = await backend.nextCommit()
    expect(commit.plans.length).toBe(1)
    const rest = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? ann : other).write(`k${index}`, ''),
    )
    await turns()
    expect(backend.arrivedCount).toBe(0)
    await commit.proceed()
    await first
    const next = await backend.nextCommit()
    expect(next.plans.map((plan) => plan.namespace).sort()).toEqual(['m', 'n'])
    const keys = next.plans.map((plan) =>
      plan.units.flatMap((unit) => (unit.kind === 'change' ? unit.changes.map((change) => change.key) : [])),
    )
    expect(keys.flat().length).toBe(20)
    for (const list of keys)
      expect(list).toEqual([...list].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))))
    backend.holds = false
    await next.proceed()
    await Promise.all(rest)
  })

  test('I9: a group holds at most `groupOperationsMax` operations and `groupBytesMax` bytes, of all namespaces', async () => {
    const { backend, store, ann } = await opened({ groupOperationsMax: 6, groupBytesMax: 100 })
    const others = await Promise.all(['a', 'b', 'c'].map((name) => store.init(name)))
    backend.holds = true
    const calls = [ann, ...others].flatMap((session) =>
      Array.from({ length: 12 }, (_, index) => session.write(`k${index}`, 'x'.repeat(20))),
    )
    const done = Promise.all(calls)
    const seen = new Set<string>()
    for (let operations = 0; operations < calls.length;) {
      const commit = await backend.nextCommit()
      const changes = commit.plans.flatMap((plan) =>
        plan.units.flatMap((unit) => (unit.kind === 'change' ? unit.changes : [])),
      )
      for (const plan of commit.plans) seen.add(plan.namespace)
      expect(changes.length).toBeLessThanOrEqual(6)
      operations += changes.length
      if (operations >= 24) expect(seen.size, 'namespaces enter in turn').toBe(4)
      await commit.proceed()
    }
    backend.holds = false
    await done
  })

  test('I9: while the backend is not ready nothing is committed, and reads go on', async () => {
    const { backend, ann } = await opened()
    await ann.write('k', '1')
    const before = backend.commits
    let open = (): void => {}
    backend.readyPromise = new Promise((resolve) => (open = resolve))
    const waiting = follow(ann.write('k', '2'))
    await turns()
    expect([waiting.state, backend.commits]).toEqual(['pending', before])
    expect(await ann.read('k')).toBe('1')
    backend.readyPromise = null
    open()
    await ann.write('k', '3')
    expect(waiting.state).toBe('resolved')
    expect(await ann.read('k')).toBe('3')
  })
})
