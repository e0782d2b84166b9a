import { describe, expect, test } from 'vitest'
import type { CommitOutcome } from '../../src/backend/backend.js'
import { deferred, failureOf, refusal } from '../../src/contract/observe.js'
import { stateError } from '../../src/errors.js'
import {
  bytesOf,
  coordinate,
  deleteOf,
  QuestionedBackend,
  settle,
  until,
  writeOf,
  type Coordinated,
} from './coordinated.js'

const NO_SPACE = stateError('NO_SPACE', 'the disk is full', {})
const SYNC_FAILED = stateError('STORE_FAILED', 'the sync failed', { cause: new Error('EIO') })

/** Namespaces that are there and known, and commits that wait for the test from now on. */
async function given(
  namespaces: readonly string[],
  limits: Parameters<typeof coordinate>[0] = {},
  backend = new QuestionedBackend(),
): Promise<Coordinated> {
  const coordinated = await coordinate(limits, backend)
  for (const namespace of namespaces) await coordinated.create(namespace)
  backend.holds = true
  return coordinated
}

function follow(promise: Promise<unknown>): { state: 'pending' | 'resolved' | 'rejected' } {
  const followed: ReturnType<typeof follow> = { state: 'pending' }
  promise.then(
    () => (followed.state = 'resolved'),
    () => (followed.state = 'rejected'),
  )
  return followed
}

describe('groups', () => {
  test('what is asked for in one turn of the event loop travels together, in the order of the calls', async () => {
    const { backend, write } = await given(['a', 'b'])
    const writes = [write('a', '1'), write('b', '2'), write('a', '3')]
    const commit = await backend.nextCommit()
    expect(commit.plans.map(({ namespace, units }) => [namespace, units.length])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    await commit.proceed()
    await Promise.all(writes)
  })

  test('I3: while a plan of a namespace is under way, another one of it waits, and other namespaces do not', async () => {
    const backend = new QuestionedBackend({ commitsInFlight: 2 })
    const { write } = await given(['a', 'b'], {}, backend)
    const first = write('a', 'first')
    const one = await backend.nextCommit()
    const others = [write('a', 'second'), write('b', 'x')]
    const two = await backend.nextCommit()
    expect(two.plans.map(({ namespace }) => namespace)).toEqual(['b'])
    await two.proceed()
    await settle()
    expect(backend.arrivedCount).toBe(0)
    await one.proceed()
    await first
    const three = await backend.nextCommit()
    expect(three.plans.map(({ namespace }) => namespace)).toEqual(['a'])
    await three.proceed()
    await Promise.all(others)
  })

  test('no more commits are under way than the backend takes', async () => {
    const backend = new QuestionedBackend({ commitsInFlight: 2 })
    const { write } = await given(['a', 'b', 'c'], {}, backend)
    const writes = [write('a', 'x')]
    const one = await backend.nextCommit()
    writes.push(write('b', 'x'))
    const two = await backend.nextCommit()
    writes.push(write('c', 'x'))
    await settle()
    expect(backend.arrivedCount).toBe(0)
    await one.proceed()
    const three = await backend.nextCommit()
    await Promise.all([two.proceed(), three.proceed()])
    await Promise.all(writes)
  })

  test('I3, I9: a full group is shared: a namespace with much to write takes no more than its share', async () => {
    const { backend, write } = await given(['busy', 'quiet'], { groupOperationsMax: 10 })
    const writes = Array.from({ length: 100 }, (_, index) => write('busy', `k${index}`))
    writes.push(write('quiet', 'k'))
    const commit = await backend.nextCommit()
    expect(commit.plans.map(({ namespace, units }) => [namespace, units.length])).toEqual([
      ['busy', 5],
      ['quiet', 1],
    ])
    backend.holds = false
    await commit.proceed()
    await Promise.all(writes)
  })

  test('I3: namespaces that did not get into a group are first in the next one', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `n${index}`)
    const { backend, write } = await given(names, { groupOperationsMax: 4 })
    const writes = names.flatMap((name) => [write(name, 'a'), write(name, 'b')])
    const turns: string[] = []
    while (turns.length < 18) {
      const commit = await backend.nextCommit()
      expect(commit.plans.length).toBeLessThanOrEqual(4)
      turns.push(...commit.plans.map(({ namespace }) => namespace))
      await commit.proceed()
    }
    await Promise.all(writes)
    expect(turns).toEqual([...names, ...names])
  })

  test('a group holds no more bytes than its bound, but always one request', async () => {
    const { backend, write } = await given(['n'], { groupBytesMax: 10 })
    const values = ['1234', '1234', '1234', '12345678901234567890', '1']
    const writes = values.map((value, index) => write('n', `k${index}`, value))
    const sizes: number[] = []
    for (let done = 0; done < values.length;) {
      const commit = await backend.nextCommit()
      const count = commit.plans[0]!.units.length
      sizes.push(count)
      done += count
      await commit.proceed()
    }
    await Promise.all(writes)
    expect(sizes).toEqual([2, 1, 1, 1])
  })

  test('a plan that changes nothing is answered without asking the backend', async () => {
    const { backend, remove, create } = await given(['n'])
    expect(await remove('n', 'missing')).toMatchObject({ deleted: false, revision: null })
    expect(await create('n')).toBe(false)
    expect(backend.arrivedCount).toBe(0)
  })
})

describe('backpressure', () => {
  test('I9: nothing is committed before the backend is ready, and it is asked once for that', async () => {
    const { backend, write } = await given(['n'])
    const room = deferred()
    backend.readyPromise = room.promise
    backend.readyCalls = 0
    const writes: Promise<unknown>[] = []
    for (let index = 0; index < 5; index++) {
      writes.push(write('n', `k${index}`))
      await settle()
    }
    expect(backend.arrivedCount).toBe(0)
    expect(backend.readyCalls).toBe(1)
    backend.readyPromise = null
    room.resolve()
    const commit = await backend.nextCommit()
    expect(commit.plans[0]!.units.length).toBe(5)
    await commit.proceed()
    await Promise.all(writes)
  })

  test('an aborted write leaves while it waits for the backend, and nothing of it is committed', async () => {
    const { backend, write } = await given(['n'])
    const room = deferred()
    backend.readyPromise = room.promise
    const controller = new AbortController()
    const aborted = failureOf(() => write('n', 'aborted', '', controller.signal))
    const kept = write('n', 'kept')
    await settle()
    controller.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    backend.readyPromise = null
    room.resolve()
    const commit = await backend.nextCommit()
    expect(commit.plans[0]!.units).toMatchObject([{ changes: [{ key: 'kept' }] }])
    await commit.proceed()
    await kept
  })

  test('I9: callers beyond the bound of a queue wait outside, and come in by their order', async () => {
    const { backend, write } = await given(['n'], { queueOperationsMax: 2, groupOperationsMax: 1 })
    const keys = ['a', 'b', 'c', 'd', 'e']
    const writes = keys.map((key) => write('n', key))
    const order: unknown[] = []
    for (const _ of keys) {
      const commit = await backend.nextCommit()
      order.push(...commit.plans[0]!.units.map((unit) => unit.kind === 'change' && unit.changes[0]!.key))
      await commit.proceed()
    }
    await Promise.all(writes)
    expect(order).toEqual(keys)
  })
})

describe('aborting', () => {
  test('before a group is sealed nothing changes; afterwards the true result is delivered', async () => {
    const { backend, write } = await given(['n'])
    const controller = new AbortController()
    const sealed = write('n', 'sealed', '', controller.signal)
    const commit = await backend.nextCommit()
    const queued = failureOf(() => write('n', 'queued', '', controller.signal))
    controller.abort(new Error('enough'))
    expect(await queued).toMatchObject({ message: 'enough' })
    await commit.proceed()
    expect(await sealed).toMatchObject({ key: 'sealed' })
    await settle()
    expect(backend.arrivedCount).toBe(0)
  })

  test('while heads are looked up for it, an aborted write leaves and holds up nobody', async () => {
    const { backend, coordinator, write } = await coordinate()
    await coordinator.submit('n', { kind: 'create' }, 0, null, undefined)
    await write('n', 'a')
    await coordinator.close({ flush: true })
    const again = await coordinate({}, backend)
    backend.holdsQuestions = true
    const controller = new AbortController()
    const aborted = failureOf(() => again.write('n', 'a', 'aborted', controller.signal))
    const kept = again.write('n', 'b')
    await until(() => backend.headQuestions.length > 0)
    controller.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    backend.holdsQuestions = false
    await backend.headQuestions[0]!.proceed()
    expect(await kept).toMatchObject({ key: 'b' })
    expect(await again.coordinator.read('n', 'a', undefined)).toMatchObject({ value: new Uint8Array() })
  })

  test('I11: closing does not wait for writes that were all withdrawn', async () => {
    const { write, coordinator } = await given(['n'])
    const controller = new AbortController()
    const aborted = [1, 2, 3].map(() => failureOf(() => write('n', 'k', '', controller.signal)))
    controller.abort(new Error('enough'))
    const closing = coordinator.close({ flush: true })
    await Promise.all(aborted)
    expect(await closing).toBe(true)
  })
})

describe('outcomes', () => {
  test('I2: nothing of a plan is seen before the backend has answered', async () => {
    const { backend, write, coordinator, events } = await given(['n'])
    const writing = write('n', 'k', 'new')
    const commit = await backend.nextCommit()
    expect(await coordinator.read('n', 'k', undefined)).toBeNull()
    expect(await coordinator.names('n', undefined)).toEqual([])
    expect(await coordinator.head('n', 'k', undefined)).toBeNull()
    expect(events.change).toEqual([])
    const followed = follow(writing)
    await settle()
    expect(followed.state).toBe('pending')
    await commit.proceed()
    await writing
    expect(await coordinator.read('n', 'k', undefined)).toMatchObject({ value: bytesOf('new') })
    expect(events.change).toMatchObject([{ key: 'k', kind: 'write' }])
  })

  test('the units of a plan get its revision and those after it', async () => {
    const { backend, write } = await given(['n'])
    const writes = ['a', 'b', 'c'].map((key) => write('n', key))
    const commit = await backend.nextCommit()
    commit.answerAll({ status: 'committed', revision: 40 })
    expect((await Promise.all(writes)).map(({ revision }) => revision)).toEqual([40, 41, 42])
  })

  test('I8: a rejected plan changes nothing; what was refused because of it is decided anew', async () => {
    const { backend, write, change, coordinator } = await given(['n'])
    const first = failureOf(() => write('n', 'k', 'first'))
    // Refused beside the first one, which makes the key exist; but not without it.
    const second = change('n', [{ ...writeOf('k', 'second'), ifRevision: null }])
    const commit = await backend.nextCommit()
    expect(commit.plans[0]!.units.length).toBe(1)
    commit.answerAll({ status: 'rejected', error: NO_SPACE })
    expect(await first).toMatchObject({ code: 'NO_SPACE', outcome: 'unchanged' })
    const again = await backend.nextCommit()
    await again.proceed()
    expect(await second).toMatchObject([{ key: 'k' }])
    expect(await coordinator.read('n', 'k', undefined)).toMatchObject({ value: bytesOf('second') })
  })

  test('rejected with deletesOnly: deletions are tried without the writes, and depend on none of them', async () => {
    const { backend, write, remove, change } = await given(['n'])
    backend.holds = false
    await write('n', 'old')
    backend.holds = true
    const written = failureOf(() => write('n', 'new'))
    const ofNew = remove('n', 'new')
    const ofOld = remove('n', 'old')
    const mixed = failureOf(() => change('n', [writeOf('x'), deleteOf('old')]))
    const removal = await backend.nextCommit()
    removal.answerAll({ status: 'rejected', error: NO_SPACE, deletesOnly: true })
    expect(await written).toBe(NO_SPACE)
    expect(await mixed).toBe(NO_SPACE)
    const again = await backend.nextCommit()
    expect(again.plans[0]!.units).toEqual([{ kind: 'change', changes: [{ kind: 'delete', key: 'old' }] }])
    await again.proceed()
    expect(await ofNew).toMatchObject({ deleted: false })
    expect(await ofOld).toMatchObject({ deleted: true })
  })

  test('rejected with deletesOnly: a deletion gets through, also where somebody writes again at once what was refused', async () => {
    const { backend, write, remove } = await given(['n'])
    backend.holds = false
    await write('n', 'old')
    backend.holds = true
    let goesOn = true
    const writer = (async () => {
      while (goesOn) await failureOf(() => write('n', 'new'))
    })()
    const removing = remove('n', 'old')
    let commits = 0
    for (let isDone = false; !isDone && commits < 10; commits++) {
      const commit = await backend.nextCommit()
      const writes = commit.plans[0]!.units.some(
        (unit) => unit.kind === 'change' && unit.changes.some(({ kind }) => kind === 'write'),
      )
      if (writes) commit.answerAll({ status: 'rejected', error: NO_SPACE, deletesOnly: true })
      else await commit.proceed()
      isDone = !writes
    }
    expect(await removing).toMatchObject({ deleted: true })
    expect(commits).toBeLessThan(5)
    goesOn = false
    const last = await backend.nextCommit()
    last.answerAll({ status: 'rejected', error: NO_SPACE, deletesOnly: true })
    await writer
  })

  test('rejected with deletesOnly: a removal of the namespace is a deletion, a creation is not', async () => {
    const { backend, coordinator } = await given(['n'])
    const removed = coordinator.submit('n', { kind: 'remove' }, 0, null, undefined)
    const created = failureOf(() => coordinator.submit('n', { kind: 'create' }, 0, null, undefined))
    const commit = await backend.nextCommit()
    expect(commit.plans[0]!.units).toEqual([{ kind: 'remove' }, { kind: 'create' }])
    commit.answerAll({ status: 'rejected', error: NO_SPACE, deletesOnly: true })
    expect(await created).toBe(NO_SPACE)
    const again = await backend.nextCommit()
    expect(again.plans[0]!.units).toEqual([{ kind: 'remove' }])
    await again.proceed()
    expect(await removed).toBe(true)
  })

  test('I8: after a failed sync, what changed is unknown and what changed nothing is unchanged', async () => {
    const { backend, write, remove } = await given(['n'])
    const changing = [failureOf(() => write('n', 'a')), failureOf(() => write('n', 'b'))]
    const nothing = failureOf(() => remove('n', 'missing'))
    const commit = await backend.nextCommit()
    const queued = failureOf(() => write('n', 'c'))
    backend.host.failed(SYNC_FAILED)
    commit.answerAll({ status: 'unknown', revision: 7, cause: 'EIO' })
    expect(await Promise.all(changing)).toMatchObject([
      { code: 'OUTCOME_UNKNOWN', outcome: 'unknown', revision: 7, cause: 'EIO' },
      { code: 'OUTCOME_UNKNOWN', outcome: 'unknown', revision: 8 },
    ])
    expect(await nothing).toMatchObject({ code: 'STORE_FAILED', outcome: 'unchanged' })
    expect(await queued).toMatchObject({ code: 'STORE_FAILED', outcome: 'unchanged', cause: SYNC_FAILED })
  })

  test('one plan of a group that is refused fails no other', async () => {
    const { backend, write } = await given(['a', 'b', 'c'])
    const [first, second, third] = [failureOf(() => write('a', 'k')), write('b', 'k'), write('c', 'k')]
    const commit = await backend.nextCommit()
    const outcomes: CommitOutcome[] = [
      { status: 'rejected', error: NO_SPACE },
      { status: 'committed', revision: 11 },
      { status: 'stale', heads: new Map() },
    ]
    commit.answer(outcomes)
    expect(await first).toBe(NO_SPACE)
    expect(await second).toMatchObject({ revision: 11 })
    const again = await backend.nextCommit()
    expect(again.plans.map(({ namespace }) => namespace)).toEqual(['c'])
    await again.proceed()
    await third
  })

  test('tree durability: resolved when the tree shows it, without holding up the namespace', async () => {
    const { backend, write, change } = await given(['n'])
    const shown = deferred()
    backend.tree = () => shown.promise
    backend.holds = false
    const writing = change('n', [writeOf('a')], undefined, { durability: 'tree' })
    const followed = follow(writing)
    await write('n', 'b')
    await settle()
    expect(followed.state).toBe('pending')
    shown.resolve()
    expect(await writing).toMatchObject([{ key: 'a' }])
  })

  test('tree durability: what the tree can not show is TREE_PENDING, a committed change', async () => {
    const { backend, change, coordinator } = await given(['n'])
    backend.tree = () => Promise.reject(stateError('TREE_PENDING', 'not there yet', { revision: 1 }))
    backend.holds = false
    const error = await refusal('TREE_PENDING', () =>
      change('n', [writeOf('a', 'v')], undefined, { durability: 'tree' }),
    )
    expect(error.outcome).toBe('committed')
    expect(await coordinator.read('n', 'a', undefined)).toMatchObject({ value: bytesOf('v') })
  })
})

describe('failing and closing', () => {
  test('I11: a failure answers everything that waits, wherever it waits', async () => {
    const limits = { queueOperationsMax: 2, queueBytesMax: 10, groupBytesMax: 5 }
    const backend = new QuestionedBackend()
    const { write } = await given(['a', 'c', 'b'], limits, backend)
    const sealed = failureOf(() => write('a', 'k', '12345'))
    const commit = await backend.nextCommit()
    const waiting = [
      // Inside of b's queue, outside of c's because of the bytes, outside of b's because of the operations.
      failureOf(() => write('b', 'k', '12345')),
      failureOf(() => write('c', 'k', '123456')),
      failureOf(() => write('b', 'l', '12345')),
      failureOf(() => write('b', 'm', '')),
      failureOf(() => write('a', 'l', '123')),
    ]
    backend.host.failed(SYNC_FAILED)
    for (const error of await Promise.all(waiting.slice(0, 4))) {
      expect(error).toMatchObject({ code: 'STORE_FAILED', outcome: 'unchanged' })
    }
    commit.answerAll({ status: 'unknown', revision: null, cause: 'EIO' })
    expect(await sealed).toMatchObject({ code: 'OUTCOME_UNKNOWN', revision: null })
    expect(await waiting[4]).toMatchObject({ code: 'STORE_FAILED' })
  })

  test('I11: what waits for the backend when it fails is answered, and the store closes', async () => {
    const { backend, write, coordinator } = await given(['n'])
    const room = deferred()
    backend.readyPromise = room.promise
    const writing = failureOf(() => write('n', 'k'))
    await settle()
    backend.host.failed(SYNC_FAILED)
    expect(await writing).toMatchObject({ code: 'STORE_FAILED' })
    expect(await coordinator.close({ flush: true })).toBe(true)
  })

  test('I11: what waits for heads when the store fails is answered', async () => {
    const { backend, coordinator, write } = await coordinate()
    await coordinator.submit('n', { kind: 'create' }, 0, null, undefined)
    await write('n', 'a')
    await coordinator.close({ flush: true })
    const again = await coordinate({}, backend)
    backend.holdsQuestions = true
    const writing = failureOf(() => again.write('n', 'a'))
    await until(() => backend.headQuestions.length > 0)
    backend.host.failed(SYNC_FAILED)
    const closing = again.coordinator.close({ flush: true })
    await backend.headQuestions[0]!.proceed()
    expect(await writing).toMatchObject({ code: 'STORE_FAILED', outcome: 'unchanged' })
    await closing
  })

  test('I11: closing waits for what was admitted, and what waits outside is admitted', async () => {
    const { backend, write, coordinator } = await given(['n'], { queueOperationsMax: 1 })
    const writes = ['a', 'b', 'c'].map((key) => write('n', key))
    const commit = await backend.nextCommit()
    const closing = follow(coordinator.close({ flush: true }))
    await refusal('STORE_CLOSED', () => write('n', 'd'))
    await settle()
    expect(closing.state).toBe('pending')
    backend.holds = false
    await commit.proceed()
    await Promise.all(writes)
    await until(() => closing.state === 'resolved')
  })

  test('I11: closing waits for the answers of reads', async () => {
    const { backend, write, coordinator } = await coordinate()
    await coordinator.submit('n', { kind: 'create' }, 0, null, undefined)
    await write('n', 'a', 'v')
    await coordinator.close({ flush: true })
    const again = await coordinate({}, backend)
    backend.holdsQuestions = true
    const reading = again.coordinator.read('n', 'a', undefined)
    await until(() => backend.readQuestions.length > 0)
    const closing = follow(again.coordinator.close({ flush: true }))
    await settle()
    expect(closing.state).toBe('pending')
    await backend.readQuestions[0]!.proceed()
    expect(await reading).toMatchObject({ head: { size: 1 } })
    await until(() => closing.state === 'resolved')
  })
})
