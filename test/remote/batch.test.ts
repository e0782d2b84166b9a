import { MessageChannel } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MalformedBatch, BatchReader } from '../../src/remote/batch-reader.js'
import { BatchWriter } from '../../src/remote/batch-writer.js'
import { LARGE_BYTES } from '../../src/remote/wire.js'

const readerOf = (list: unknown[], packed: unknown = null, large: unknown = []): BatchReader =>
  new BatchReader([list, packed, large, []])

describe('a batch', () => {
  test('gives back the values in their order, whatever their sizes', () => {
    const sizes = fc.oneof(
      fc.nat({ max: 300 }),
      fc.constantFrom(0, 1, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1),
    )
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 12 }), (all) => {
        const values = all.map((size, index) => new Uint8Array(size).fill(index))
        const writer = new BatchWriter()
        for (const value of values) {
          writer.push(value.byteLength)
          writer.pushValue(value)
        }
        const reader = new BatchReader(structuredClone(writer.take()))
        for (const value of values) {
          const size = reader.integer(0, 1e9)
          expect(Buffer.compare(Buffer.from(reader.value(size)), value)).toBe(0)
        }
        expect(reader.isAtEnd).toBe(true)
        expect(writer.isEmpty).toBe(true)
      }),
    )
  })

  test('takes over bytes as they are when it is taken, and is empty afterwards', () => {
    const writer = new BatchWriter()
    writer.push('a', undefined, null, true)
    writer.pushWriter({ writerId: 'w', stageId: 's' })
    writer.pushWriter(null)
    const reader = new BatchReader(structuredClone(writer.take()))
    expect([reader.text(), reader.optionalText(), reader.next(), reader.flag()]).toEqual([
      'a',
      undefined,
      null,
      true,
    ])
    expect(reader.writer()).toEqual({ writerId: 'w', stageId: 's' })
    expect(reader.writer()).toBeNull()
    expect(() => reader.next()).toThrow(MalformedBatch)
    expect(writer.take()).toEqual([[], null, [], []])
  })

  test('of another shape is malformed', () => {
    const shapes: readonly unknown[] = [
      undefined,
      null,
      7,
      'batch',
      {},
      [],
      [[]],
      [[], null],
      [[], null, []],
      [{ length: 0 }, null, [], []],
      [[], undefined, [], []],
      [[], [], [], []],
      [[], new Uint16Array(4), [], []],
      [[], new DataView(new ArrayBuffer(4)), [], []],
      [[], null, {}, []],
      [[], null, [], 'ports'],
    ]
    for (const shape of shapes) expect(() => new BatchReader(shape)).toThrow(MalformedBatch)
  })

  test('in memory that another thread could change is malformed', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(8))
    expect(() => readerOf([], shared)).toThrow(MalformedBatch)
    const large = new SharedArrayBuffer(LARGE_BYTES)
    expect(() => readerOf([], null, [large]).value(LARGE_BYTES)).toThrow(MalformedBatch)
  })

  test('gives no bytes that it does not have', () => {
    const reader = readerOf([], new Uint8Array(10))
    expect(reader.value(4).byteLength).toBe(4)
    expect(() => reader.value(7)).toThrow(MalformedBatch)
    expect(reader.value(6).byteLength).toBe(6)
    expect(() => reader.value(1)).toThrow(MalformedBatch)
    expect(reader.value(0).byteLength).toBe(0)
    expect(() => readerOf([]).value(1)).toThrow(MalformedBatch)
    const size = LARGE_BYTES + 5
    for (const large of [
      [],
      [null],
      [new ArrayBuffer(size - 1)],
      [new ArrayBuffer(size + 1)],
      [new Uint8Array(size)],
    ]) {
      expect(() => readerOf([], null, large).value(size)).toThrow(MalformedBatch)
    }
  })

  test('holds numbers, texts and flags only where they belong', () => {
    const wrong: readonly (readonly [unknown, (reader: BatchReader) => unknown])[] = [
      ...[-1, 1.5, NaN, Infinity, 2 ** 53, '1', null, undefined, 5n, [1]].map(
        (value) => [value, (reader: BatchReader) => reader.integer(0, Number.MAX_SAFE_INTEGER)] as const,
      ),
      [0, (reader) => reader.id()],
      [11, (reader) => reader.integer(0, 10)],
      [1, (reader) => reader.flag()],
      [undefined, (reader) => reader.flag()],
      [1, (reader) => reader.text()],
      [['a'], (reader) => reader.text()],
      [null, (reader) => reader.optionalText()],
      [null, (reader) => reader.optionalInteger(0)],
      [-1, (reader) => reader.condition()],
      ['7', (reader) => reader.condition()],
      [{ writerId: 'w' }, (reader) => reader.writer()],
      ['a', (reader) => reader.texts(1)],
      [['a', 'b'], (reader) => reader.texts(1)],
      [['a', 1], (reader) => reader.texts(9)],
      [Object.assign([], { length: 2 }), (reader) => reader.texts(9)],
      [undefined, (reader) => reader.port()],
    ]
    for (const [value, read] of wrong) expect(() => read(readerOf([value]))).toThrow(MalformedBatch)
    expect(readerOf([undefined, null, 3]).condition()).toBeUndefined()
  })

  test('brings ports along', () => {
    const { port1, port2 } = new MessageChannel()
    const writer = new BatchWriter()
    writer.push('port')
    writer.pushPort(port1)
    expect(new BatchReader(writer.take()).port()).toBe(port1)
    port1.close()
    port2.close()
  })
})
