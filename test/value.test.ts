import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { failureOf, refusal } from '../src/contract/observe.js'
import { ByteSlab } from '../src/byte-slab.js'
import { decodeUtf8 } from '../src/utf8.js'
import { copyOf, takeValue } from '../src/value.js'

describe('taking a value over', () => {
  test('a text is taken as UTF-8, and is the same when it comes out again', () => {
    for (const text of ['', '\ufeffä\u{1f600}', 'x'.repeat(5000)]) {
      const { value, size } = takeValue(text, 'k', 5000, new ByteSlab())
      expect([value, size]).toEqual([new Uint8Array(Buffer.from(text)), Buffer.byteLength(text)])
      expect(decodeUtf8(value)).toBe(text)
    }
  })

  test('bytes are copied: changing them afterwards changes nothing', () => {
    const bytes = new Uint8Array([1, 2, 3])
    const { value, size } = takeValue(bytes, 'k', 10, new ByteSlab())
    bytes.fill(9)
    expect([value, size]).toEqual([new Uint8Array([1, 2, 3]), 3])
  })

  test('a part of a larger buffer is taken alone, and as plain bytes', () => {
    const pooled = Buffer.from('0123456789').subarray(2, 5)
    const { value } = takeValue(pooled, 'k', 10, new ByteSlab())
    expect(value).toEqual(new Uint8Array(Buffer.from('234')))
    expect(value.constructor).toBe(Uint8Array)
  })

  test('bytes of a subclass have the length that they have, whatever it says', () => {
    class Lying extends Uint8Array {
      said = 0
      override get byteLength(): number {
        return this.said
      }
    }
    const slab = new ByteSlab()
    const { value: before } = takeValue('a'.repeat(900), 'k', 1000, slab)
    for (const said of [-4096, 1000, 2 ** 40]) {
      const lying = new Lying([1, 2, 3])
      lying.said = said
      expect(takeValue(lying, 'k', 5, slab)).toEqual({ value: new Uint8Array([1, 2, 3]), size: 3 })
    }
    for (let count = 0; count < 20; count++) takeValue('b'.repeat(900), 'k', 1000, slab)
    expect(decodeUtf8(before)).toBe('a'.repeat(900))
    expect(() => takeValue(new Lying(6), 'k', 5, slab)).toThrow(/6 bytes/)
  })

  test('bytes of a subclass are copied, whatever it says of copies', () => {
    const shared = new Uint8Array([1, 2, 3])
    class Sharing extends Uint8Array {
      static get [Symbol.species](): Uint8ArrayConstructor {
        return function () {
          return shared
        } as unknown as Uint8ArrayConstructor
      }
    }
    const { value } = takeValue(new Sharing([1, 2, 3]), 'k', 10, new ByteSlab())
    shared.fill(9)
    expect(value).toEqual(new Uint8Array([1, 2, 3]))
    expect(copyOf(new Sharing([4])).constructor).toBe(Uint8Array)
  })

  test('bytes in shared memory are copied too', () => {
    const memory = new Uint8Array(new SharedArrayBuffer(2))
    const { value } = takeValue(memory, 'k', 10, new ByteSlab())
    memory.fill(7)
    expect(value).toEqual(new Uint8Array(2))
  })

  test('a lone surrogate would be changed silently, so it is refused', async () => {
    for (const text of ['\ud800', 'a\udc00b', '\udc00\ud800']) {
      const error = await refusal('INVALID_VALUE', () => takeValue(text, 'the key', 10, new ByteSlab()))
      expect(error).toMatchObject({ key: 'the key', outcome: 'unchanged' })
      expect(error.message).not.toContain(text)
    }
  })

  test('I9: a value of the limit is taken, one byte more is refused before it is copied', async () => {
    expect(takeValue('äb', 'k', 3, new ByteSlab()).size).toBe(3)
    expect(takeValue(new Uint8Array(3), 'k', 3, new ByteSlab()).size).toBe(3)
    for (const value of ['äbc', new Uint8Array(4)]) {
      const error = await refusal('LIMIT_EXCEEDED', () => takeValue(value, 'k', 3, new ByteSlab()))
      expect(error).toMatchObject({ key: 'k', limit: 'valueBytesMax', max: 3, actual: 4 })
    }
  })

  test('anything else is a TypeError that names what it is', async () => {
    const others: unknown[] = [
      undefined,
      null,
      1,
      true,
      {},
      [],
      [1],
      Symbol('s'),
      () => '',
      new ArrayBuffer(1),
      new Uint16Array(1),
      new DataView(new ArrayBuffer(1)),
      new String('text'),
    ]
    for (const value of others)
      expect(await failureOf(() => takeValue(value, 'k', 10, new ByteSlab()))).toBeInstanceOf(TypeError)
  })

  test('bytes of another realm are bytes', () => {
    const foreign = runInNewContext('new Uint8Array([1, 2])') as Uint8Array
    expect(takeValue(foreign, 'k', 10, new ByteSlab()).value).toEqual(new Uint8Array([1, 2]))
  })
})

describe('giving a value out', () => {
  test('bytes are a copy each time', () => {
    const stored = new Uint8Array([1, 2])
    const given = copyOf(stored)
    given.fill(9)
    expect(stored).toEqual(new Uint8Array([1, 2]))
  })

  test('a text is exactly what the bytes say, a byte order mark included; other bytes are none', () => {
    expect(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).toBe('\ufeffa')
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3]]) {
      expect(decodeUtf8(new Uint8Array(bytes))).toBeNull()
    }
  })
})
