import { describe, expect, test } from 'vitest'
import { ByteSlab } from '../../src/byte-slab.js'
import { KeyState, NamespaceState } from '../../src/coordinator/namespace-state.js'
import { SharedValues } from '../../src/coordinator/shared-values.js'

const KEPT_BYTES_MAX = 64 * 1024

function given() {
  const [shared, slab] = [new SharedValues(KEPT_BYTES_MAX), new ByteSlab()]
  const namespace = new NamespaceState('n')
  const keys: KeyState[] = []
  return {
    keys,
    write: (name: string, size = 100, fill = 1): KeyState => {
      const key = keys.find((other) => other.key === name) ?? new KeyState(name, namespace, null)
      if (!keys.includes(key)) keys.push(key)
      key.held.value = slab.copy(new Uint8Array(size).fill(fill))
      shared.add(key.held)
      return key
    },
  }
}

/** What the cached values keep in memory. */
function keptBytes(keys: readonly KeyState[]): number {
  const buffers = new Set(keys.map(({ value }) => (value as Uint8Array).buffer))
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

describe('values that share memory', () => {
  test('I9: few that stay keep no more than their own size beyond the bound', () => {
    const { keys, write } = given()
    for (let round = 0; round < 200; round++) {
      write(`stays ${round}`, 100, round)
      for (let i = 0; i < 100; i++) write('hot', 100, i)
    }
    expect(keptBytes(keys)).toBeLessThan(200 * 100 + KEPT_BYTES_MAX + 2 * 8192)
    keys.slice(0, -1).forEach(({ key, value }) => {
      const round = Number(key.slice('stays '.length))
      if (key !== 'hot') expect(value).toEqual(new Uint8Array(100).fill(round))
    })
  })

  test('I9: many tiny ones are not remembered without bound either', () => {
    const { keys, write } = given()
    for (let i = 0; i < 9000; i++) write(`k${i}`, 1, i % 256)
    // All of them together take two pieces, far less than may be kept.
    const own = keys.filter(({ value }) => (value as Uint8Array).buffer.byteLength === 1)
    expect(own.length).toBeGreaterThan(4000)
    for (const { key, value } of keys) expect(value).toEqual(new Uint8Array([Number(key.slice(1)) % 256]))
  })

  test('what has memory of its own, is a text or is gone is left alone', () => {
    const { write } = given()
    const large = write('large', 5000)
    const { value } = large
    const gone = write('gone')
    gone.held.value = undefined
    const text = write('text')
    text.held.value = 'text'
    for (let i = 0; i < 2000; i++) write('hot')
    expect([large.value, gone.value, text.value]).toEqual([value, undefined, 'text'])
    expect(large.value).toBe(value)
  })
})
