import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BoundedCache, Cacheable } from '../../src/coordinator/bounded-cache.js'

class Item extends Cacheable {
  readonly name: string
  isPinned = false

  constructor(name: string) {
    super()
    this.name = name
  }
}

function item(name: string): Item {
  return new Item(name)
}

function given(bytesMax: number) {
  const released: string[] = []
  const cache = new BoundedCache<Item>(bytesMax, (found) => {
    if (found.isPinned) return false
    released.push(found.name)
    return true
  })
  return { cache, released }
}

describe('BoundedCache', () => {
  test('I9: the account is the sum of what is there, and is below the bound after trimming', () => {
    const step = fc.record({
      do: fc.constantFrom('set', 'delete', 'use', 'pin', 'unpin', 'trim'),
      item: fc.integer({ min: 0, max: 5 }),
      bytes: fc.integer({ min: 0, max: 60 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const items = Array.from({ length: 6 }, (_, index) => item(String(index)))
        const there = new Map<Item, number>()
        const cache = new BoundedCache<Item>(100, (found) => {
          if (found.isPinned) return false
          expect(there.delete(found)).toBe(true)
          return true
        })
        for (const { do: what, item: index, bytes } of steps) {
          const one = items[index]!
          if (what === 'set') {
            cache.set(one, bytes)
            there.set(one, bytes)
          } else if (what === 'delete') {
            cache.delete(one)
            there.delete(one)
          } else if (what === 'use') one.used = true
          else if (what === 'pin') one.isPinned = true
          else if (what === 'unpin') one.isPinned = false
          else {
            // An item that was just used gets one more chance.
            cache.trim()
            cache.trim()
            const pinned = [...there].filter(([found]) => found.isPinned)
            expect(cache.bytes <= 100 || pinned.length === there.size).toBe(true)
          }
          expect(cache.bytes).toBe([...there.values()].reduce((sum, each) => sum + each, 0))
        }
      }),
    )
  })

  test('I9: what was there alone and let go can come back, and is let go again', () => {
    const { cache, released } = given(10)
    const alone = item('a')
    for (let round = 0; round < 3; round++) {
      cache.set(alone, 20)
      cache.trim()
    }
    expect(released).toEqual(['a', 'a', 'a'])
  })

  test('what is below the bound stays', () => {
    const { cache, released } = given(10)
    cache.set(item('a'), 5)
    cache.set(item('b'), 5)
    cache.trim()
    expect(released).toEqual([])
  })

  test('what was used since it was last looked at goes after what was not', () => {
    const { cache, released } = given(10)
    const items = ['a', 'b', 'c', 'd'].map(item)
    for (const each of items) cache.set(each, 5)
    items[0]!.used = true
    items[1]!.used = true
    cache.trim()
    expect(released).toEqual(['c', 'd'])
  })

  test('I9: with everything in use, trimming ends after two looks at each', () => {
    let looks = 0
    const cache = new BoundedCache<Item>(0, () => {
      looks++
      return false
    })
    for (let index = 0; index < 100; index++) cache.set(item(String(index)), 1)
    cache.trim()
    expect(looks).toBeLessThanOrEqual(200)
    expect(cache.bytes).toBe(100)
  })

  test('the cost of letting go does not grow with what went before', () => {
    let looks = 0
    const cache = new BoundedCache<Item>(100, () => {
      looks++
      return true
    })
    for (let index = 0; index < 20_000; index++) {
      cache.set(item(String(index)), 1)
      cache.trim()
    }
    expect(looks).toBe(19_900)
  })
})
