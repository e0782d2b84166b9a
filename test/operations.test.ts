import { describe, expect, test } from 'vitest'
import type { Operation } from '../src/api.js'
import { ByteSlab } from '../src/byte-slab.js'
import { failureOf, refusal } from '../src/contract/observe.js'
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js'
import { toOperations } from '../src/operations.js'

function take(operations: unknown, limits: Partial<Limits> = {}, seen: Record<string, number | null> = {}) {
  return toOperations(
    operations as readonly Operation[],
    { limits: { ...DEFAULT_LIMITS, ...limits }, slab: new ByteSlab() },
    (key) => seen[key],
  )
}

describe('operations of a batch', () => {
  test('are checked, normalized and encoded in their order, and counted', () => {
    const bytes = new Uint8Array([1, 2])
    const { operations, bytes: count } = take([
      { write: './a', value: 'ä' },
      { delete: 'b//c' },
      { write: 'd', value: bytes },
    ])
    bytes.fill(9)
    const nothing = { ifRevision: undefined, seen: undefined }
    expect(operations).toEqual([
      { kind: 'write', key: 'a', value: new TextEncoder().encode('ä'), size: 2, ...nothing },
      { kind: 'delete', key: 'b/c', ...nothing },
      { kind: 'write', key: 'd', value: new Uint8Array([1, 2]), size: 2, ...nothing },
    ])
    expect(count).toBe(4)
  })

  test('carry their conditions, and what the session saw unless the caller says it', () => {
    const { operations } = take(
      [
        { write: 'a', value: '', ifRevision: null },
        { delete: 'b', ifRevision: 4, seenRevision: null },
        { delete: './c', seenRevision: 9 },
        { delete: 'd' },
      ],
      {},
      { a: 1, b: 2, c: 3, d: null },
    )
    expect(operations.map(({ ifRevision, seen }) => [ifRevision, seen])).toEqual([
      [null, 1],
      [4, null],
      [undefined, 9],
      [undefined, null],
    ])
  })

  test('none is an empty batch', () => {
    expect(take([])).toEqual({ operations: [], bytes: 0 })
  })

  test('misuse is a TypeError', async () => {
    const misuses: unknown[] = [
      undefined,
      null,
      'a',
      { write: 'a', value: '' },
      [undefined],
      [null],
      ['a'],
      // eslint-disable-next-line no-sparse-arrays
      [, { delete: 'a' }],
      [{}],
      [{ value: 'v' }],
      [{ write: 'a' }],
      [{ write: 'a', value: 1 }],
      [{ write: 'a', delete: 'a', value: '' }],
      [{ write: undefined, delete: undefined }],
      [{ delete: 'a', value: 'v' }],
      [{ write: 1, value: '' }],
      [{ delete: 'a', ifRevison: 1 }],
      [{ delete: 'a', ifRevision: '1' }],
      [{ delete: 'a', ifRevision: 1.5 }],
    ]
    for (const operations of misuses) {
      const error = await failureOf(() => take(operations))
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    }
  })

  test('a key occurs once, however it is spelled', async () => {
    const twice = [{ write: 'a/b', value: '' }, { delete: './a//b' }]
    expect(await failureOf(() => take(twice))).toMatchObject({
      name: 'TypeError',
      message: expect.stringMatching("'a/b'"),
    })
  })

  test('a bad key or value of one operation is the error of all', async () => {
    await refusal('INVALID_KEY', () => take([{ write: 'a', value: '' }, { delete: '../b' }]))
    await refusal('INVALID_VALUE', () => take([{ write: 'a', value: '\ud800' }]))
    await refusal('LIMIT_EXCEEDED', () => take([{ write: 'a', value: 'abc' }], { valueBytesMax: 2 }))
  })

  test('I9: a batch has no more operations and bytes than a queue', async () => {
    const two = [
      { write: 'a', value: 'abc' },
      { write: 'b', value: 'abc' },
    ]
    expect(take(two, { queueOperationsMax: 2, queueBytesMax: 6 }).bytes).toBe(6)
    expect(await refusal('LIMIT_EXCEEDED', () => take(two, { queueOperationsMax: 1 }))).toMatchObject({
      limit: 'queueOperationsMax',
      max: 1,
      actual: 2,
    })
    expect(await refusal('LIMIT_EXCEEDED', () => take(two, { queueBytesMax: 5 }))).toMatchObject({
      limit: 'queueBytesMax',
      max: 5,
      actual: 6,
    })
  })
})
