import { describe, expect, test } from 'vitest'
import type { ConflictRule, Writer } from '../../src/api.js'
import { detectConflict, type KeyView } from '../../src/coordinator/conflict.js'

const ann: Writer = { writerId: 'ann' }
const annElsewhere: Writer = { writerId: 'ann', sessionId: 's' }
const ben: Writer = { writerId: 'ben' }
const nameless: Writer = { sessionId: 's' }
const empty: Writer = { writerId: '' }

const MISSING: KeyView = { revision: null, identity: null, changedBy: null }
const there = (identity: Writer | null, changedBy: Writer | null = identity): KeyView => ({
  revision: 7,
  identity,
  changedBy,
})

/** Null: no conflict; otherwise who is named as the previous one. */
type Expected = null | { readonly previous: Writer | null }

describe('writer-change, the rule of the origin', () => {
  const cases: [string, Writer | null, KeyView, Expected][] = [
    ['nobody writes', null, there(ben), null],
    ['the key is missing', ann, MISSING, null],
    ['the same writer', ann, there(ann), null],
    ['the same writer with other ids beside', annElsewhere, there(ann), null],
    ['another writer', ann, there(ben), { previous: ben }],
    ['another writer, then an anonymous change', ann, there(ben, null), { previous: ben }],
    ['nobody wrote before', ann, there(null), null],
    ['the one before has no writer id', ann, there(nameless), null],
    ['the one now has no writer id', nameless, there(ben), null],
    ['an empty writer id is one', ann, there(empty), { previous: empty }],
    ['the same empty writer id', empty, there(empty), null],
    ['another writer deleted it', ann, { ...MISSING, changedBy: ben }, null],
  ]
  for (const [title, current, key, expected] of cases) {
    test(title, () => {
      const want = expected === null ? null : { rule: 'writer-change', previous: expected.previous }
      // What was seen is of no account under this rule, nor what was not under the other.
      for (const seen of [undefined, null, 1, 7]) {
        expect(detectConflict('writer-change', current, key, seen)).toEqual(want)
      }
      expect(detectConflict('lost-update', current, key, undefined)).toEqual(want)
    })
  }
})

describe('lost-update, of a key that was seen', () => {
  const cases: [string, Writer | null, KeyView, number | null, Expected][] = [
    ['nobody writes', null, there(ben), 3, null],
    ['unchanged since', ann, there(ben), 7, null],
    ['unchanged, by nobody', ann, there(null), 7, null],
    ['seen missing, and missing', ann, MISSING, null, null],
    ['changed since by another writer', ann, there(ben), 3, { previous: ben }],
    ['changed since by this writer', ann, there(annElsewhere), 3, null],
    ['changed since, anonymously', ann, there(ben, null), 3, { previous: null }],
    ['seen missing, made by another writer', ann, there(ben), null, { previous: ben }],
    ['seen missing, made by this writer', ann, there(ann), null, null],
    ['deleted since by another writer', ann, { ...MISSING, changedBy: ben }, 3, { previous: ben }],
    ['deleted since by this writer', ann, { ...MISSING, changedBy: ann }, 3, null],
    ['deleted since by nobody known', ann, MISSING, 3, { previous: null }],
    ['a later revision was seen than is there', ann, there(ben), 9, { previous: ben }],
    ['the one now has no writer id', nameless, there(nameless), 3, { previous: nameless }],
    ['a provisional revision of the same plan', ann, { ...there(ben), revision: -1 }, 7, { previous: ben }],
  ]
  for (const [title, current, key, seen, expected] of cases) {
    test(title, () => {
      const want = expected === null ? null : { rule: 'lost-update', previous: expected.previous }
      expect(detectConflict('lost-update', current, key, seen)).toEqual(want)
    })
  }
})

test('a correct read and write by several agents in turn is no conflict under lost-update, and is one under the other', () => {
  const rules: ConflictRule[] = ['lost-update', 'writer-change']
  const outcomes = rules.map((rule) => detectConflict(rule, ann, there(ben), 7) !== null)
  expect(outcomes).toEqual([false, true])
})
