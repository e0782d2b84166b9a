import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteSlab } from '../src/byte-slab.js'

test('copies are what was given, and stay so whatever is copied and changed afterwards', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 1500 }), { maxLength: 60 })
  fc.assert(
    fc.property(sizes, (given) => {
      const slab = new ByteSlab()
      const copies = given.map((size, index) => {
        if (index % 2 === 1) return slab.encode(String.fromCharCode(index + 1).repeat(size), size)
        const bytes = new Uint8Array(size).fill(index + 1)
        const copy = slab.copy(bytes)
        bytes.fill(0)
        return copy
      })
      copies.forEach((copy, index) => {
        expect(copy).toEqual(new Uint8Array(given[index]!).fill(index + 1))
        expect(copy.constructor).toBe(Uint8Array)
      })
    }),
  )
})

test('I9: small ones share memory, a few kilobytes at a time; large ones have their own', () => {
  const slab = new ByteSlab()
  const small = Array.from({ length: 100 }, () => slab.copy(new Uint8Array(256)))
  expect(new Set(small.map(({ buffer }) => buffer)).size).toBeLessThan(10)
  for (const { buffer } of small) expect(buffer.byteLength).toBeLessThanOrEqual(8192)
  expect(slab.copy(new Uint8Array(5000)).buffer.byteLength).toBe(5000)
})
