import { onTestFinished, describe, expect, test } from 'vitest'
import type { CommitOutcome } from '../../src/backend/backend.js'
import { collect, failureOf, iteratorOf, record, refusal } from '../../src/contract/observe.js'
import { stateError } from '../../src/errors.js'
import { openStore } from '../../src/store.js'
import { HeldBackend } from '../helpers/held-backend.js'

async function opened() {
  const backend = new HeldBackend()
  const store = await openStore({ backend })
  onTestFinished(() => store.close().catch(() => {}))
  const session = await store.init('n', { writer: { writerId: 'ann' } })
  await session.write('k', 'acknowledged')
  return { backend, store, session }
}

const syncFailed = new Error('the disk said EIO')

/** What the file backend does when a sync fails: it says so, and answers the group with `unknown`. */
function unknownOutcome(backend: HeldBackend, revision: number | null): CommitOutcome {
  backend.host.failed(stateError('STORE_FAILED', 'the sync failed', { cause: syncFailed }))
  return { status: 'unknown', revision, cause: syncFailed }
}

describe('a failed sync', () => {
  test('I8: what was in the group is OUTCOME_UNKNOWN with its revision, what was not is STORE_FAILED and unchanged', async () => {
    const { backend, session } = await opened()
    backend.holds = true
    const first = session.write('a', '1')
    const second = session.batch([{ write: 'b', value: '1' }, { delete: 'k' }])
    const commit = await backend.nextCommit()
    const third = session.write('c', '1')
    const outcomes = Promise.all([failureOf(() => first), failureOf(() => second), failureOf(() => third)])
    commit.answerAll(unknownOutcome(backend, 1000))
    const [a, b, c] = await outcomes
    expect(a).toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      outcome: 'unknown',
      revision: 1000,
      cause: syncFailed,
    })
    expect(b).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown', revision: 1001 })
    expect(c).toMatchObject({ code: 'STORE_FAILED', outcome: 'unchanged' })
  })

  test('the store then takes no changes, but reads go on from the last acknowledged state', async () => {
    const { backend, store, session } = await opened()
    const failed = record(store.events, 'failed')
    const changes = record(store.events, 'change')
    backend.holds = true
    const lost = failureOf(() => session.write('k', 'unknown'))
    const commit = await backend.nextCommit()
    commit.answerAll(unknownOutcome(backend, null))
    expect(await lost).toMatchObject({ code: 'OUTCOME_UNKNOWN', revision: null })
    expect(store.state).toBe('failed')
    for (const act of [
      () => session.write('k', '2'),
      () => session.delete('k'),
      () => session.batch([{ write: 'x', value: '' }]),
      () => session.update('k', () => 'x'),
      () => store.init('new'),
      () => store.remove('n'),
    ]) {
      expect(await refusal('STORE_FAILED', act)).toMatchObject({ outcome: 'unchanged' })
    }
    expect(await session.read('k')).toBe('acknowledged')
    expect(await session.list()).toEqual(['k'])
    expect((await collect(session.entries())).length).toBe(1)
    expect(await collect(store.namespaces())).toEqual(['n'])
    expect(failed.items.length).toBe(1)
    expect(changes.items).toEqual([])
    expect(backend.arrivedCount).toBe(0)
  })

  test('I11: an update that waits for its turn when the store fails gets its answer', async () => {
    const { backend, session } = await opened()
    backend.holds = true
    const updates = Promise.all(
      Array.from({ length: 5 }, () => failureOf(() => session.update('k', (value) => `${value}!`))),
    )
    const commit = await backend.nextCommit()
    commit.answerAll(unknownOutcome(backend, 1000))
    const codes = (await updates).map((error) => (error as { code: string }).code)
    expect(codes).toEqual(['OUTCOME_UNKNOWN', 'STORE_FAILED', 'STORE_FAILED', 'STORE_FAILED', 'STORE_FAILED'])
  })

  test('I11: a failed store closes, ends its iterators, and is then closed', async () => {
    const { backend, store, session } = await opened()
    const items = iteratorOf(session.watch())
    const pending = items.next()
    backend.host.failed(stateError('STORE_FAILED', 'the sync failed', { cause: syncFailed }))
    expect(store.state).toBe('failed')
    await store.close()
    expect((await pending).done).toBe(true)
    expect(store.state).toBe('closed')
    await refusal('STORE_CLOSED', () => session.read('k'))
  })
})

describe('a rejected commit', () => {
  test('the caller gets the error of the backend, nothing changes, and the store goes on', async () => {
    const { backend, store, session } = await opened()
    const changes = record(store.events, 'change')
    backend.holds = true
    const writing = session.write('k', '2')
    const commit = await backend.nextCommit()
    const error = stateError('NO_SPACE', 'the disk is full', {})
    commit.answerAll({ status: 'rejected', error })
    backend.holds = false
    expect(await failureOf(() => writing)).toBe(error)
    expect(error.outcome).toBe('unchanged')
    expect(await session.read('k')).toBe('acknowledged')
    expect(changes.items).toEqual([])
    expect(store.state).toBe('open')
    await session.write('k', '3')
    expect(await session.read('k')).toBe('3')
  })

  test('where deletes would be taken, they are committed without the writes beside them', async () => {
    const { backend, session } = await opened()
    backend.holds = true
    const writing = failureOf(() => session.write('a', '1'))
    const deleting = session.delete('k')
    const commit = await backend.nextCommit()
    const error = stateError('NO_SPACE', 'the disk is full', {})
    commit.answerAll({ status: 'rejected', error, deletesOnly: true })
    expect(await writing).toBe(error)
    const again = await backend.nextCommit()
    expect(again.plans[0]!.units).toEqual([{ kind: 'change', changes: [{ kind: 'delete', key: 'k' }] }])
    await again.proceed()
    expect(await deleting).toMatchObject({ deleted: true })
    expect(await session.list()).toEqual([])
  })

  test('one plan that is rejected fails no other', async () => {
    const { backend, store, session } = await opened()
    const other = await store.init('m')
    backend.holds = true
    const [first, second] = [failureOf(() => session.write('a', '1')), other.write('a', '1')]
    const commit = await backend.nextCommit()
    const error = stateError('TREE_STUCK', 'stuck', { namespace: 'n' })
    commit.answer(
      commit.plans.map((plan) =>
        plan.namespace === 'n' ? { status: 'rejected', error } : { status: 'committed', revision: 5000 },
      ),
    )
    expect(await first).toBe(error)
    expect((await second).revision).toBe(5000)
  })
})

describe('a backend that breaks its contract', () => {
  test('I11: if `commit` rejects, every caller gets an answer that says the outcome is unknown', async () => {
    const { backend, session } = await opened()
    backend.holds = true
    const writing = failureOf(() => session.write('k', '2'))
    const commit = await backend.nextCommit()
    commit.reject(new Error('unexpected'))
    expect(await writing).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown' })
  })
})
