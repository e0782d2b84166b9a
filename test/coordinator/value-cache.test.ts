import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteSlab } from '../../src/byte-slab.js'
import { KeyState, NamespaceState } from '../../src/coordinator/namespace-state.js'
import { ValueCache, valueOf } from '../../src/coordinator/value-cache.js'

const DEAD_BYTES_MAX = 64 * 1024

function given({ bytesMax = 1e9, deadBytesMax = DEAD_BYTES_MAX } = {}) {
  const [cache, slab] = [new ValueCache(bytesMax, deadBytesMax), new ByteSlab()]
  const namespace = new NamespaceState('n')
  const keys = new Map<string, KeyState>()
  return {
    cache,
    keys,
    key: (name: string): KeyState => keys.get(name)!,
    write: (name: string, size = 100, fill = 1): KeyState => {
      const key = keys.get(name) ?? new KeyState(name, namespace, null)
      keys.set(name, key)
      cache.set(key, slab.copy(new Uint8Array(size).fill(fill)))
      return key
    },
  }
}

/** What the cached values keep in memory. */
function keptBytes(keys: Iterable<KeyState>): number {
  const buffers = new Set([...keys].flatMap(({ valuePiece }) => valuePiece?.buffer ?? []))
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

function cachedNames(keys: Iterable<KeyState>): string[] {
  return [...keys].filter(({ valuePiece }) => valuePiece !== null).map(({ key }) => key)
}

describe('ValueCache', () => {
  test('I9: few that stay keep no more than their own size beyond the bound', () => {
    const { keys, write } = given()
    for (let round = 0; round < 200; round++) {
      write(`stays ${round}`, 100, round)
      for (let i = 0; i < 100; i++) write('hot', 100, i)
    }
    expect(keptBytes(keys.values())).toBeLessThan(200 * 100 + DEAD_BYTES_MAX + 2 * 8192)
    for (const each of keys.values()) {
      const round = Number(each.key.slice('stays '.length))
      if (each.key !== 'hot') expect(valueOf(each)).toEqual(new Uint8Array(100).fill(round))
    }
  })

  test('I9: what is written over is not remembered, tiny values no more than others', () => {
    const { cache, keys, write } = given()
    for (let i = 0; i < 9000; i++) {
      write(`k${i}`, 1, i % 256)
      for (let again = 0; again < 20; again++) write('hot', 1, again)
    }
    // 200,000 values were written in all. Whatever is known of one takes more than this.
    expect(cache.bytes).toBeLessThan(9000 * 200 + 2 * DEAD_BYTES_MAX)
    for (const each of keys.values()) {
      if (each.key !== 'hot') expect(valueOf(each)).toEqual(new Uint8Array([Number(each.key.slice(1)) % 256]))
    }
  })

  test('what lives is not moved about for the few that die beside it, however tiny it is', () => {
    for (const size of [0, 1, 30]) {
      const { keys, write } = given()
      for (let i = 0; i < 20_000; i++) write(`k${i}`, size)
      write('hot', 100)
      const pieces = new Map([...keys.values()].map(({ key, valuePiece }) => [key, valuePiece]))
      for (let again = 0; again < 100; again++) write('hot', 100)
      for (const { key, valuePiece } of keys.values()) {
        if (key !== 'hot') expect(valuePiece === pieces.get(key), `${key}, ${size} bytes`).toBe(true)
      }
    }
  })

  test('a key that is written again and again keeps its last value only', () => {
    const { cache, key, write } = given()
    for (let i = 0; i < 10_000; i++) write('hot', 100, i % 256)
    expect(valueOf(key('hot'))).toEqual(new Uint8Array(100).fill(9999 % 256))
    expect(cache.bytes).toBeLessThan(20_000)
  })

  test('what has memory of its own, or is gone, is left alone', () => {
    const { cache, key, write } = given()
    const { valuePiece } = write('large', 5000)
    cache.drop(write('gone'))
    for (let i = 0; i < 2000; i++) write('hot')
    expect(key('large').valuePiece).toBe(valuePiece)
    expect(valueOf(key('gone'))).toBeUndefined()
  })

  test('a small one with memory of its own is copied to where others lie', () => {
    const { cache, key, write } = given()
    write('a')
    cache.set(key('a'), new Uint8Array([1, 2, 3]))
    const value = valueOf(key('a'))
    expect(value).toEqual(new Uint8Array([1, 2, 3]))
    expect(value!.buffer.byteLength).toBeGreaterThan(3)
  })

  test('beyond the bound the oldest go, but for those that were used since', () => {
    const { cache, key, keys, write } = given({ bytesMax: 100_000 })
    for (let i = 0; i < 1000; i++) {
      write(`k${i}`, 100, i % 256)
      if (i === 300) key('k5').isValueUsed = true
      cache.trim()
      expect(cache.bytes).toBeLessThanOrEqual(100_000)
    }
    const cached = cachedNames(keys.values())
    expect(cached.length).toBeGreaterThan(300)
    expect(cached).not.toContain('k4')
    expect(cached.slice(-300)).toEqual(Array.from({ length: 300 }, (_, i) => `k${700 + i}`))
    for (const name of cached) {
      expect(valueOf(key(name))).toEqual(new Uint8Array(100).fill(Number(name.slice(1)) % 256))
    }
  })

  test('where all were used nothing is copied: each gets another chance, and then the oldest go', () => {
    const { cache, key, keys, write } = given({ bytesMax: 100_000 })
    for (let i = 0; cache.bytes <= 100_000; i++) write(`k${i}`)
    const last = keys.size - 1
    const kept = key(`k${last}`).valuePiece
    for (const each of keys.values()) each.isValueUsed = true
    cache.trim()
    expect(cache.bytes).toBeLessThanOrEqual(100_000)
    expect(key(`k${last}`).valuePiece).toBe(kept)
    const cached = cachedNames(keys.values())
    expect(cached).toEqual([...keys.keys()].slice(-cached.length))
    expect(cached.length).toBeGreaterThan(keys.size / 2)
  })

  test('what is used all the time stays, however many others come and go', () => {
    const { cache, key, write } = given({ bytesMax: 100_000 })
    write('k', 100, 7)
    write('large', 5000, 8)
    for (let i = 0; i < 5000; i++) {
      write(`other ${i}`)
      key('k').isValueUsed = true
      key('large').isValueUsed = true
      cache.trim()
    }
    expect(valueOf(key('k'))).toEqual(new Uint8Array(100).fill(7))
    expect(valueOf(key('large'))).toEqual(new Uint8Array(5000).fill(8))
  })

  test('I9: whatever happens, values are the ones last written, and what is counted covers what is kept', () => {
    const step = fc.record({
      do: fc.constantFrom('write', 'write', 'write', 'drop', 'use', 'trim'),
      key: fc.integer({ min: 0, max: 20 }),
      size: fc.constantFrom(0, 1, 100, 1000, 1024, 1025, 3000),
      fill: fc.integer({ min: 0, max: 255 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { cache, keys, write } = given({ bytesMax: 20_000, deadBytesMax: 2000 })
        const written = new Map<string, Uint8Array>()
        for (const { do: what, key: index, size, fill } of steps) {
          const name = `k${index}`
          const key = keys.get(name)
          if (what === 'write') {
            write(name, size, fill)
            written.set(name, new Uint8Array(size).fill(fill))
          } else if (what === 'drop' && key !== undefined) {
            cache.drop(key)
            expect(valueOf(key)).toBeUndefined()
          } else if (what === 'use' && key !== undefined) {
            key.isValueUsed = true
          } else if (what === 'trim') {
            // What was just used gets one more chance.
            cache.trim()
            cache.trim()
            expect(cache.bytes).toBeLessThanOrEqual(20_000)
          }
          for (const [other, key] of keys) {
            const value = valueOf(key)
            if (value !== undefined) expect(value).toEqual(written.get(other))
          }
          expect(cache.bytes).toBeGreaterThanOrEqual(keptBytes(keys.values()))
        }
        for (const key of keys.values()) cache.drop(key)
        expect(cache.bytes).toBe(0)
      }),
    )
  })
})
