/** I4: the operations of a batch take effect together or not at all. */
import { expect } from 'vitest'
import type { Operation } from '../../api.js'
import { misuse, nextTurn, record, refusal } from '../observe.js'
import type { Given } from '../given.js'

export function batches(given: Given): void {
  results(given)
  nothingToDo(given)
  refused(given)
  misused(given)
  together(given)
}

function results(given: Given): void {
  given.test(
    'I4: all operations of a batch share one revision, and their results come in their order',
    async () => {
      const [ann] = await given.writers('ann')
      const before = await ann.write('old', '1')
      const found = await ann.batch([
        { write: 'b', value: 'text' },
        { delete: 'old' },
        { write: './a', value: Uint8Array.from([1, 2]) },
        { delete: 'never-there' },
      ])
      const { revision } = found[0]
      expect(revision).toBeGreaterThan(before.revision)
      expect(found).toEqual([
        { key: 'b', revision, conflict: null },
        { key: 'old', deleted: true, revision, conflict: null },
        { key: 'a', revision, conflict: null },
        { key: 'never-there', deleted: false, revision: null, conflict: null },
      ])
      expect(await ann.list()).toEqual(['a', 'b'])
      expect((await ann.stat('a'))?.revision).toBe(revision)
      expect((await ann.stat('b'))?.revision).toBe(revision)
    },
  )
  given.test(
    'a change event is published for every change of a batch, side by side, in the order of the operations',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('old', '1')
      const changes = record(given.store().events, 'change', { namespace: ann.namespace })
      const operations: Operation[] = [
        { write: 'z', value: '1' },
        { delete: 'old' },
        { delete: 'gone' },
        { write: 'a', value: '2' },
      ]
      const others = Array.from({ length: 10 }, (_, index) => ben.write(`other${index}`, ''))
      const [batch] = await Promise.all([ann.batch(operations), ...others])
      const last = await ben.write('marker', '')
      await changes.until((change) => change.revision === last.revision)
      const first = changes.items.findIndex((change) => change.revision === batch[0]!.revision)
      expect(changes.items.slice(first, first + 3).map(({ kind, key }) => [kind, key])).toEqual([
        ['write', 'z'],
        ['delete', 'old'],
        ['write', 'a'],
      ])
      expect(changes.items.filter((change) => change.revision === batch[0]!.revision).length).toBe(3)
      expect(changes.items[first]).toMatchObject({ writer: { writerId: 'ann' } })
    },
  )
  given.test('every operation of a batch has its own conflict', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.batch([
      { write: 'a', value: '1' },
      { write: 'b', value: '1' },
    ])
    const conflicts = record(given.store().events, 'conflict', { namespace: ann.namespace })
    const found = await ben.batch([{ write: 'a', value: '2' }, { write: 'c', value: '2' }, { delete: 'b' }])
    expect(found.map((result) => result.conflict?.key ?? null)).toEqual(['a', null, 'b'])
    await conflicts.until((conflict) => conflict.key === 'b')
    expect(conflicts.items.map(({ key, outcome, revision }) => ({ key, outcome, revision }))).toEqual([
      { key: 'a', outcome: 'written', revision: found[0].revision },
      { key: 'b', outcome: 'deleted', revision: found[0].revision },
    ])
  })
}

function nothingToDo(given: Given): void {
  given.test(
    'an empty batch has no results; one that only deletes what is missing has no revision and no event',
    async () => {
      const session = await given.session()
      const changes = record(given.store().events, 'change', { namespace: session.namespace })
      expect(await session.batch([])).toEqual([])
      expect(await session.batch([{ delete: 'a' }, { delete: 'b' }])).toMatchObject([
        { deleted: false, revision: null },
        { deleted: false, revision: null },
      ])
      await session.write('marker', '')
      expect((await changes.until((change) => change.key === 'marker')).length).toBe(1)
    },
  )
  given.test('changing the array or the operations after the call changes nothing', async () => {
    const session = await given.session()
    const first = { write: 'a', value: '1' }
    const operations: Operation[] = [first, { write: 'b', value: '1' }]
    const pending = session.batch(operations)
    first.write = 'changed'
    first.value = 'changed'
    operations.pop()
    expect((await pending).length).toBe(2)
    expect(await session.list()).toEqual(['a', 'b'])
    expect(await session.read('a')).toBe('1')
  })
}

function refused(given: Given): void {
  given.test('I4: one operation that is refused refuses the whole batch, naming its index', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.write('taken', '1')
    const changes = record(given.store().events, 'change', { namespace: ann.namespace })
    const mismatch = await refusal('REVISION_MISMATCH', () =>
      ben.batch([{ write: 'a', value: '' }, { delete: 'taken' }, { write: 'b', value: '', ifRevision: 1 }]),
    )
    expect(mismatch).toMatchObject({ index: 2, key: 'b', actualRevision: null, outcome: 'unchanged' })
    const conflict = await refusal('CONFLICT', () =>
      ben.batch(
        [
          { write: 'a', value: '' },
          { write: 'taken', value: '' },
        ],
        { conflictPolicy: 'error' },
      ),
    )
    expect(conflict).toMatchObject({ index: 1, key: 'taken', outcome: 'unchanged' })
    await refusal('KEY_BLOCKED', () =>
      ben.batch([
        { write: 'a', value: '' },
        { write: 'taken/below', value: '' },
      ]),
    )
    await refusal('INVALID_KEY', () => ben.batch([{ write: 'a', value: '' }, { delete: '..' }]))
    await refusal('INVALID_VALUE', () =>
      ben.batch([
        { write: 'a', value: '' },
        { write: 'b', value: '\ud800' },
      ]),
    )
    await ann.write('marker', '')
    await changes.until((change) => change.key === 'marker')
    expect(changes.items.length).toBe(1)
    expect(await ann.list()).toEqual(['marker', 'taken'])
    expect(await ann.read('taken')).toBe('1')
  })
  given.test('a single operation in a batch carries its index too, one outside carries none', async () => {
    const session = await given.session()
    const inside = await refusal('REVISION_MISMATCH', () =>
      session.batch([{ write: 'k', value: '', ifRevision: 1 }]),
    )
    expect(inside.index).toBe(0)
    const outside = await refusal('REVISION_MISMATCH', () => session.write('k', '', { ifRevision: 1 }))
    expect(outside.index).toBeUndefined()
  })
}

function misused(given: Given): void {
  given.test('a key twice in a batch, however it is spelled, is a TypeError', async () => {
    const session = await given.session()
    for (const twice of [
      [{ write: 'a', value: '1' }, { delete: 'a' }],
      [
        { write: 'a', value: '1' },
        { write: './a', value: '2' },
      ],
      [{ delete: 'a/b' }, { delete: ' a//b ' }],
    ] satisfies Operation[][]) {
      expect(await misuse(() => session.batch(twice))).toBeInstanceOf(TypeError)
    }
    expect(await session.list()).toEqual([])
  })
  given.test(
    'what is no operation is a TypeError, a misspelt field one that names the right one',
    async () => {
      const session = await given.session()
      const wrong: readonly unknown[] = [
        ...[null, undefined, 'a', 1, {}, [], { key: 'a', value: 'x' }, { write: 'a' }, { value: 'x' }],
        ...[
          { write: 'a', delete: 'a', value: 'x' },
          { delete: 'a', value: 'x' },
          { write: 1, value: 'x' },
        ],
      ]
      for (const operation of wrong) {
        const batch = [{ write: 'other', value: 'x' }, operation as Operation]
        expect(await misuse(() => session.batch(batch)), JSON.stringify(operation)).toBeInstanceOf(TypeError)
      }
      for (const operations of [null, undefined, 'a', { length: 0 }, new Set()]) {
        expect(await misuse(() => session.batch(operations as unknown as Operation[]))).toBeInstanceOf(
          TypeError,
        )
      }
      const misspelt = [{ write: 'a', value: 'x', ifRevison: null }] as unknown as Operation[]
      expect((await misuse(() => session.batch(misspelt))).message).toContain('ifRevision')
      expect(await session.list()).toEqual([])
    },
  )
}

function together(given: Given): void {
  given.test('I4: nobody ever sees a part of a batch', async () => {
    const session = await given.session()
    let writing = true
    const done = (async () => {
      for (let round = 1; round <= 200; round += 1) {
        await session.batch(['a', 'b', 'c'].map((key) => ({ write: key, value: String(round) })))
      }
    })().finally(() => (writing = false))
    while (writing) {
      await nextTurn()
      const c = Number(await session.read('c'))
      const a = Number(await session.read('a'))
      expect(a).toBeGreaterThanOrEqual(c)
      const names = await session.list()
      expect([0, 3]).toContain(names.length)
    }
    await done
    expect(await Promise.all(['a', 'b', 'c'].map((key) => session.read(key)))).toEqual(['200', '200', '200'])
  })
}
