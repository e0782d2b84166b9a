import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SeenKeys } from '../src/seen-keys.js'

describe('SeenKeys', () => {
  test('tells a key that was seen missing from one that was never seen', () => {
    const seen = new SeenKeys(10)
    seen.set('missing', null)
    seen.set('there', 0)
    expect([seen.get('missing'), seen.get('there'), seen.get('never')]).toEqual([null, 0, undefined])
  })

  test('remembers anew a key that it has forgotten since it was asked for', () => {
    const seen = new SeenKeys(1)
    seen.set('a', 1)
    expect(seen.get('a')).toBe(1)
    seen.set('b', 2)
    seen.set('a', 3)
    expect([seen.get('a'), seen.get('b')]).toEqual([3, undefined])
  })

  test('I9: remembers the keys that were seen last, and no more than the bound', () => {
    const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
    const step = fc.tuple(keys, fc.option(fc.nat()), fc.option(keys), fc.constantFrom('set', 'setKept'))
    const sets = fc.array(step, { maxLength: 100 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), sets, (max, steps) => {
        const seen = new SeenKeys(max)
        let model: [string, number | null][] = []
        for (const [key, revision, asked, set] of steps) {
          seen[set](key, revision)
          model = [...model.filter(([other]) => other !== key), [key, revision] as [string, number | null]]
          model = model.slice(-max)
          if (asked !== null) expect(seen.get(asked)).toBe(new Map(model).get(asked))
        }
        for (const asked of 'abcdef') expect(seen.get(asked)).toBe(new Map(model).get(asked))
      }),
    )
  })
})
