import { onTestFinished, describe, expect, test } from 'vitest'
import type { Head, Plan } from '../../src/backend/backend.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { HeldBackend } from '../helpers/held-backend.js'

/** A backend that somebody else changes too, behind the store's back. */
async function shared() {
  const inner = memoryBackend()
  const backend = new HeldBackend({ exclusive: false }, inner)
  const store = await openStore({ backend })
  onTestFinished(() => store.close())
  const session = await store.init('n', { writer: { writerId: 'ann' } })
  /** Changes the state as another machine would. */
  const elsewhere = async (key: string, value: string): Promise<Head> => {
    const bytes = Buffer.from(value)
    const writer = { writerId: 'elsewhere' }
    const change = {
      kind: 'write',
      key,
      value: bytes,
      size: bytes.length,
      writer,
      writerAtS: 1,
      anonymous: false,
    } as const
    const unit = { kind: 'change', changes: [change] } as const
    await inner.commit([{ namespace: 'n', units: [unit], atMs: 1, expected: new Map() }])
    return (await inner.heads('n', [key]))[0] as Head
  }
  return { backend, session, elsewhere }
}

describe('a backend shared with others', () => {
  test('a plan says on which revisions it was decided', async () => {
    const { backend, session } = await shared()
    const first = await session.write('k', '1')
    backend.holds = true
    const writing = session.batch([
      { write: 'k', value: '2' },
      { write: 'new', value: '' },
    ])
    const commit = await backend.nextCommit()
    expect([...commit.plans[0]!.expected]).toEqual([
      ['k', first.revision],
      ['new', null],
    ])
    await commit.proceed()
    await writing
  })

  test('after `stale` the change is decided anew on the heads that were answered: the conflict is found', async () => {
    const { backend, session, elsewhere } = await shared()
    await session.write('k', '1')
    backend.holds = true
    const writing = session.write('k', '2')
    const commit = await backend.nextCommit()
    const head = await elsewhere('k', 'from elsewhere')
    backend.holds = false
    commit.answerAll({ status: 'stale', heads: new Map([['k', head]]) })
    const { conflict } = await writing
    expect(conflict).toMatchObject({ previous: { writerId: 'elsewhere' }, previousRevision: head.revision })
    expect(await session.read('k')).toBe('2')
  })

  test('after `stale` a condition is checked anew', async () => {
    const { backend, session, elsewhere } = await shared()
    const { revision } = await session.write('k', '1')
    backend.holds = true
    const writing = session.write('k', '2', { ifRevision: revision })
    const commit = await backend.nextCommit()
    const head = await elsewhere('k', 'from elsewhere')
    backend.holds = false
    commit.answerAll({ status: 'stale', heads: new Map([['k', head]]) })
    const error = await refusal('REVISION_MISMATCH', () => writing)
    expect(error.actualRevision).toBe(head.revision)
    expect(await session.read('k')).toBe('from elsewhere')
  })

  test('after `stale` a key that others made or deleted is known', async () => {
    const { backend, session, elsewhere } = await shared()
    await session.write('gone', '1')
    backend.holds = true
    const creating = session.write('new', '1', { ifRevision: null })
    const commit = await backend.nextCommit()
    const head = await elsewhere('new', 'from elsewhere')
    backend.holds = false
    commit.answerAll({ status: 'stale', heads: new Map([['new', head]]) })
    await refusal('REVISION_MISMATCH', () => creating)
    expect(await session.list()).toEqual(['gone', 'new'])
    backend.holds = true
    const deleting = session.delete('gone')
    const second = await backend.nextCommit()
    await second.plans.reduce(async (before, plan: Plan) => {
      await before
      expect([...plan.expected.keys()]).toEqual(['gone'])
    }, Promise.resolve())
    backend.holds = false
    second.answerAll({ status: 'stale', heads: new Map([['gone', null]]) })
    expect(await deleting).toMatchObject({ deleted: false, revision: null })
    expect(await session.list()).toEqual(['new'])
  })
})
