/** `ifRevision`: proceed only if the key is as it was. */
import { expect } from 'vitest'
import type { WriteResult } from '../../api.js'
import { misuse, record, refusal } from '../observe.js'
import type { Given } from '../given.js'

export function conditions(given: Given): void {
  matching(given)
  differing(given)
  beforeConflicts(given)
  races(given)
  refusing(given)
}

function matching(given: Given): void {
  given.test(
    'a number lets through only that revision, null only a missing key, undefined everything',
    async () => {
      const session = await given.session()
      const first = await session.write('k', '1', { ifRevision: null })
      const second = await session.write('k', '2', { ifRevision: first.revision })
      await session.write('k', '3', { ifRevision: undefined })
      const { revision } = (await session.stat('k'))!
      expect(revision).toBeGreaterThan(second.revision)
      expect(await session.delete('k', { ifRevision: revision })).toMatchObject({ deleted: true })
      expect(await session.delete('k', { ifRevision: null })).toMatchObject({
        deleted: false,
        revision: null,
      })
      await session.write('k', '4', { ifRevision: null })
      expect(await session.read('k')).toBe('4')
    },
  )
}

function differing(given: Given): void {
  given.test(
    'otherwise it is REVISION_MISMATCH with the actual revision, nothing changes and nothing is published',
    async () => {
      const session = await given.session()
      const changes = record(given.store().events, 'change', { namespace: session.namespace })
      const { revision } = await session.write('k', '1')
      const attempts = [
        () => session.write('k', '2', { ifRevision: null }),
        () => session.write('k', '2', { ifRevision: revision + 1 }),
        () => session.write('k', '2', { ifRevision: 0 }),
        () => session.writeJson('k', 2, { ifRevision: null }),
        () => session.delete('k', { ifRevision: null }),
        () => session.batch([{ write: 'k', value: '2', ifRevision: null }]),
        () => session.batch([{ delete: 'k', ifRevision: revision + 1 }]),
      ]
      for (const attempt of attempts) {
        const error = await refusal('REVISION_MISMATCH', attempt)
        expect(error).toMatchObject({
          actualRevision: revision,
          outcome: 'unchanged',
          retryable: true,
          key: 'k',
        })
        expect(error.namespace).toBe(session.namespace)
      }
      for (const attempt of [
        () => session.write('missing', '2', { ifRevision: revision }),
        () => session.delete('missing', { ifRevision: revision }),
      ]) {
        expect(await refusal('REVISION_MISMATCH', attempt)).toMatchObject({
          actualRevision: null,
          key: 'missing',
        })
      }
      await session.write('marker', '')
      await changes.until((change) => change.key === 'marker')
      expect(changes.items.length).toBe(2)
      expect((await session.entry('k'))?.revision).toBe(revision)
    },
  )
  given.test('a revision from before a deletion never matches the key written anew', async () => {
    const session = await given.session()
    const first = await session.write('k', 'same')
    await session.delete('k')
    await refusal('REVISION_MISMATCH', () => session.write('k', 'x', { ifRevision: first.revision }))
    await session.write('k', 'same')
    await refusal('REVISION_MISMATCH', () => session.write('k', 'x', { ifRevision: first.revision }))
  })
}

function beforeConflicts(given: Given): void {
  given.test(
    'it is checked before conflicts: no conflict is reported for a write that the condition refused',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const conflicts = record(given.store().events, 'conflict', { namespace: ann.namespace })
      await ann.write('k', '1')
      await refusal('REVISION_MISMATCH', () =>
        ben.write('k', '2', { ifRevision: null, conflictPolicy: 'error' }),
      )
      await ben.write('k', '2', { conflictPolicy: 'ignore' })
      expect((await conflicts.until(() => true)).map((conflict) => conflict.outcome)).toEqual(['written'])
    },
  )
  given.test('a condition that holds does not excuse a conflict', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const { revision } = await ann.write('k', '1')
    await refusal('CONFLICT', () => ben.write('k', '2', { ifRevision: revision, conflictPolicy: 'error' }))
    const result = await ben.write('k', '2', { ifRevision: revision })
    expect(result.conflict).toMatchObject({ previousRevision: revision })
  })
}

function races(given: Given): void {
  given.test('of many writers with the same condition at the same moment, exactly one succeeds', async () => {
    const session = await given.session()
    let expected: number | null = null
    for (let round = 0; round < 20; round += 1) {
      const condition: { ifRevision: number | null } = { ifRevision: expected }
      const calls = Array.from({ length: 10 }, (_, index) =>
        session.write('k', `${round}-${index}`, condition),
      )
      const settled: PromiseSettledResult<WriteResult>[] = await Promise.allSettled(calls)
      const winners = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      expect(winners.length).toBe(1)
      expected = winners[0]!.revision
    }
  })
}

function refusing(given: Given): void {
  given.test('a condition that is no revision is misuse, and nothing changes', async () => {
    const session = await given.session()
    for (const wrong of ['1', NaN, Infinity, 1.5, -1, true, {}, 1n, 2 ** 53]) {
      const ifRevision = wrong as number
      await misuse(() => session.write('k', 'x', { ifRevision }))
      await misuse(() => session.delete('k', { ifRevision }))
      await misuse(() => session.batch([{ write: 'k', value: 'x', ifRevision }]))
    }
    expect(await session.list()).toEqual([])
  })
}
