import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change, Writer } from '../../src/api.js'
import { History, type HistoryPlace } from '../../src/coordinator/history.js'

const ann: Writer = { writerId: 'ann' }

function given(max: number) {
  const history = new History(max)
  const [n, m] = ['n', 'm'].map((namespace): HistoryPlace => ({ namespace, compactedRevision: 0 }))
  const add = (place: HistoryPlace, revision: number): void =>
    history.add(place, `k${revision}`, 'write', revision, null)
  const revisions = (namespace: string, after = 0): number[] =>
    history.after(namespace, after).map(({ revision }) => revision)
  return { history, n: n!, m: m!, add, revisions }
}

describe('history', () => {
  test('I9: holds the last changes of all namespaces, and says up to where it has forgotten each', () => {
    const { n, m, add, revisions } = given(3)
    for (const revision of [1, 2, 3]) add(revision === 2 ? m : n, revision)
    expect([revisions('n'), revisions('n', 1), revisions('m')]).toEqual([[1, 3], [3], [2]])
    expect([n.compactedRevision, m.compactedRevision]).toEqual([0, 0])
    for (const revision of [4, 5]) add(n, revision)
    expect([revisions('n'), revisions('m')]).toEqual([[3, 4, 5], []])
    expect([n.compactedRevision, m.compactedRevision]).toEqual([1, 2])
  })

  test('gives changes as they were', () => {
    const { history, n } = given(2)
    history.add(n, 'a', 'write', 1, ann)
    history.add(n, 'b', 'delete', 2, null)
    expect(history.after('n', 0)).toEqual([
      { namespace: 'n', key: 'a', kind: 'write', revision: 1, writer: ann },
      { namespace: 'n', key: 'b', kind: 'delete', revision: 2, writer: null },
    ])
  })

  test('what is known of a namespace that was loaded anew meanwhile is not changed by older changes', () => {
    const { history, n, add } = given(1)
    add(n, 1)
    const again: HistoryPlace = { namespace: 'n', compactedRevision: 5 }
    history.add(again, 'k', 'write', 6, null)
    expect([n.compactedRevision, again.compactedRevision]).toEqual([1, 5])
  })

  test('is the last changes, in their order, whatever the bound', () => {
    const steps = fc.array(fc.constantFrom('n', 'm'), { maxLength: 40 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), steps, (max, namespaces) => {
        const { history, n, m } = given(max)
        const model: Change[] = []
        namespaces.forEach((namespace, index) => {
          const kind = index % 3 === 0 ? 'delete' : 'write'
          const key = `k${index % 4}`
          history.add(namespace === 'n' ? n : m, key, kind, index + 1, null)
          model.push({ namespace, key, kind, revision: index + 1, writer: null })
        })
        for (const place of [n, m]) {
          const own = model.filter(({ namespace }) => namespace === place.namespace)
          const kept = model.slice(-max).filter(({ namespace }) => namespace === place.namespace)
          expect(history.after(place.namespace, 0)).toEqual(kept)
          expect(place.compactedRevision).toBe(own.at(-kept.length - 1)?.revision ?? 0)
        }
      }),
    )
  })
})
