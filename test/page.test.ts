import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pageOf } from '../src/page.js'
import { compareUtf8 } from '../src/utf8.js'

const name = fc.oneof(
  fc.constantFrom('a', 'a/b', 'a/b/c', 'a.b', 'ab', 'b', 'b/', '\uff5e', '\u{1f600}', '\u{1f600}x'),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
)

describe('a page', () => {
  test('is the part of the sorted names that was asked for, in the order that was asked for', () => {
    const page = fc.record(
      {
        prefix: fc.oneof(name, fc.constantFrom('', '\ud83d')),
        after: name,
        limit: fc.integer({ min: 1, max: 5 }),
        reverse: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.uniqueArray(name), page, (names, asked) => {
        const sorted = names.toSorted(compareUtf8)
        const { prefix = '', after, limit = Infinity, reverse = false } = asked
        const wanted = (reverse ? sorted.toReversed() : sorted)
          .filter((each) => each.startsWith(prefix))
          .filter((each) => after === undefined || compareUtf8(each, after) * (reverse ? -1 : 1) > 0)
          .slice(0, limit)
        expect(pageOf(sorted, asked)).toEqual(wanted)
      }),
      { numRuns: 1000 },
    )
  })

  test('by page gives everything once, forwards and backwards', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(name),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (names, limit, reverse) => {
          const sorted = names.toSorted(compareUtf8)
          const found: string[] = []
          for (let page = pageOf(sorted, { limit, reverse }); page.length > 0;) {
            found.push(...page)
            page = pageOf(sorted, { limit, reverse, after: found.at(-1) })
          }
          expect(found).toEqual(reverse ? sorted.toReversed() : sorted)
        },
      ),
    )
  })

  test('without a question it is a copy of all', () => {
    const sorted = ['a', 'b']
    const all = pageOf(sorted, undefined)
    expect(all).toEqual(sorted)
    expect(all).not.toBe(sorted)
  })
})
