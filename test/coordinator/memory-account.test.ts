/** Whether what is counted for keys and values is what the engine takes for them. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Backend, Head } from '../../src/backend/backend.js'
import { ByteSlab } from '../../src/byte-slab.js'
import { KeyState, NamespaceState } from '../../src/coordinator/namespace-state.js'
import { Namespaces } from '../../src/coordinator/namespaces.js'
import { ValueCache } from '../../src/coordinator/value-cache.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'

const KEYS = 20_000
/** Tables grow in steps, and the engine keeps some room of its own. */
const TOLERANCE = 1.3

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function takenBytes(): number {
  // Twice: buffers are given back by the collection after the one that finds them dead.
  collectGarbage()
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function headOf(revision: number): Head {
  const writer = { writerId: 'ann' }
  const updatedAtMs = 1_700_000_000_000 + revision
  return { revision, writer, writerAtS: 1, anonymous: false, external: false, size: 1, updatedAtMs }
}

describe('I9: the account of memory', () => {
  test.each([10, 256, 1000, 1025, 4096])('covers what cached values of %i bytes take', (size) => {
    const namespace = new NamespaceState('n')
    const keys = Array.from({ length: KEYS }, (_, index) => new KeyState(`k${index}`, namespace, null))
    const [cache, slab] = [new ValueCache(1e9), new ByteSlab()]
    const content = new Uint8Array(size)
    const before = takenBytes()
    for (const key of keys) cache.set(key, slab.copy(content))
    const taken = takenBytes() - before
    expect(cache.bytes).toBeGreaterThan(taken / TOLERANCE)
    // Values with memory of their own take some that can't be seen here.
    expect(cache.bytes).toBeLessThan(taken * TOLERANCE + KEYS * 200)
  })

  test('covers what heads and names take', async () => {
    const limits = { ...DEFAULT_LIMITS, cacheBytesMax: 0, headBytesMax: 8 * 1024 * 1024 }
    const backend = { load: () => Promise.resolve({ exists: true, keys: [] }) } as unknown as Backend
    const namespaces = new Namespaces(backend, limits, () => true)
    const state = namespaces.get('n')
    await namespaces.load(state)
    const before = takenBytes()
    for (let index = 0; index < 3 * KEYS; index++) {
      namespaces.setWritten(state.key(`key number ${index}`), headOf(index), new Uint8Array(10))
      if (index % 100 === 0) namespaces.trim()
    }
    const taken = takenBytes() - before
    expect(taken).toBeLessThan((limits.headBytesMax + state.names.bytes) * TOLERANCE)
    expect(state.keys.size).toBeGreaterThan(KEYS)
    expect(state.names.count).toBe(3 * KEYS)
  })
})
