import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Writer } from '../src/api.js'
import {
  displayName,
  normalizeWriter,
  sameWriterId,
  WRITER_ID_BYTES_MAX,
  writerFromJson,
  writerToJson,
} from '../src/writer.js'

function failure(writer: unknown): Error {
  try {
    normalizeWriter(writer as Writer)
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('expected it to throw')
}

const id = fc.option(fc.string({ unit: 'binary', maxLength: 4 }), { nil: undefined })
const anyWriter: fc.Arbitrary<Writer> = fc.record({ writerId: id, stageId: id, sessionId: id, workerId: id })

describe('normalizeWriter', () => {
  test('fills an absent writer id from the worker, else the stage, else the session', () => {
    expect(normalizeWriter({ workerId: 'k', stageId: 's', sessionId: 'x' })?.writerId).toBe('k')
    expect(normalizeWriter({ stageId: 's', sessionId: 'x' })?.writerId).toBe('s')
    expect(normalizeWriter({ sessionId: 'x' })).toEqual({ writerId: 'x', sessionId: 'x' })
    expect(normalizeWriter({ writerId: 'w', workerId: 'k' })?.writerId).toBe('w')
  })
  test('takes an empty id for a present one', () => {
    expect(normalizeWriter({ writerId: '', workerId: 'k' })).toEqual({ writerId: '', workerId: 'k' })
    expect(normalizeWriter({ workerId: '', stageId: 's' })?.writerId).toBe('')
  })
  test('makes nobody of no identity and of one without ids', () => {
    for (const writer of [undefined, null, {}, { writerId: undefined }])
      expect(normalizeWriter(writer)).toBeNull()
  })
  test('gives one identity to those who say the same, and another one to each who says something else', () => {
    const given: Writer[] = [
      { writerId: 'a' },
      { writerId: '{"writer_id":"a"}' },
      { writerId: 'a', workerId: 'a' },
      { writerId: 'a', stageId: 'a' },
    ]
    const identities = given.map((writer) => normalizeWriter({ ...writer }))
    expect(new Set(identities).size).toBe(given.length)
    expect(identities).toEqual(given)
    expect(given.map((writer) => normalizeWriter({ ...writer }))).toEqual(identities)
    given.forEach((writer, index) => expect(normalizeWriter({ ...writer })).toBe(identities[index]))
    // Only so many are remembered.
    for (let index = 0; index < 3000; index++) {
      expect(normalizeWriter({ writerId: `other ${index}` })).toEqual({ writerId: `other ${index}` })
    }
    given.forEach((writer, index) => expect(normalizeWriter({ ...writer })).not.toBe(identities[index]))
    identities.forEach((identity) => expect(normalizeWriter(identity)).toBe(identity))
    const long = { writerId: 'w'.repeat(1000) }
    expect(normalizeWriter({ ...long })).not.toBe(normalizeWriter({ ...long }))
  })
  test('gives a frozen copy that has only what is present, in the stored order', () => {
    const given = { workerId: 'k', sessionId: undefined, stageId: 's', writerId: 'w' }
    const writer = normalizeWriter(given)
    expect(Object.entries(writer ?? {})).toEqual([
      ['writerId', 'w'],
      ['stageId', 's'],
      ['workerId', 'k'],
    ])
    expect(Object.isFrozen(writer)).toBe(true)
    given.writerId = 'changed'
    expect(writer?.writerId).toBe('w')
  })
  test('gives its own result back untouched, whatever the identity', () => {
    fc.assert(
      fc.property(anyWriter, (given) => {
        const writer = normalizeWriter(given)
        expect(normalizeWriter(writer)).toBe(writer)
        expect(normalizeWriter(writer === null ? null : { ...writer })).toEqual(writer)
      }),
    )
  })
  test('reads every field once, so that nothing changes between check and use', () => {
    let reads = 0
    const shifting = {
      get writerId() {
        return reads++ === 0 ? 'w' : 1
      },
    }
    expect(normalizeWriter(shifting as Writer)).toEqual({ writerId: 'w' })
  })
  test('takes wrong types and names for misuse and names the right ones', () => {
    for (const writer of ['ann', 1, true, [], new Map(), () => 1, Promise.resolve()]) {
      expect(failure(writer)).toBeInstanceOf(TypeError)
    }
    for (const value of [1, null, {}, ['a'], Symbol('a')]) {
      const error = failure({ stageId: value })
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain('writer.stageId')
    }
    expect(failure({ writerID: 'w' }).message).toBe(
      "writer: unknown name 'writerID'; did you mean 'writerId'?",
    )
    expect(failure({ writer_id: 'w' }).message).toContain("'writerId'")
  })
  test('refuses ids that UTF-8 cannot hold, and ids over the bound (I9)', () => {
    expect(failure({ workerId: 'a\ud800' })).toBeInstanceOf(RangeError)
    const longest = 'ü'.repeat(WRITER_ID_BYTES_MAX / 2)
    expect(normalizeWriter({ writerId: longest })?.writerId).toBe(longest)
    expect(failure({ writerId: `${longest}x` })).toBeInstanceOf(RangeError)
  })
})

describe('displayName', () => {
  test('shows the writer, else the worker, the stage, the session, or unknown', () => {
    expect(displayName({ writerId: 'w', workerId: 'k', stageId: 's', sessionId: 'x' })).toBe('w')
    expect(displayName({ workerId: 'k', stageId: 's', sessionId: 'x' })).toBe('k')
    expect(displayName({ stageId: 's', sessionId: 'x' })).toBe('s')
    expect(displayName({ sessionId: 'x' })).toBe('x')
    expect(displayName({ writerId: '', workerId: 'k' })).toBe('')
    expect(displayName({})).toBe('unknown')
    expect(displayName(null)).toBe('unknown')
  })
})

describe('sameWriterId', () => {
  test('needs a writer id on both sides', () => {
    expect(sameWriterId({ writerId: 'w' }, { writerId: 'w', stageId: 's' })).toBe(true)
    expect(sameWriterId({ writerId: '' }, { writerId: '' })).toBe(true)
    expect(sameWriterId({ writerId: 'w' }, { writerId: 'v' })).toBe(false)
    expect(sameWriterId({ stageId: 's' }, { stageId: 's' })).toBe(false)
    expect(sameWriterId(null, { writerId: 'w' })).toBe(false)
    expect(sameWriterId({ writerId: 'w' }, null)).toBe(false)
    expect(sameWriterId(null, null)).toBe(false)
  })
})

describe('the stored form', () => {
  test('has the names and the order of the origin, and nothing for absent ids', () => {
    const writer = { workerId: 'k', sessionId: 'x', stageId: 's', writerId: 'w' }
    expect(JSON.stringify(writerToJson(writer))).toBe(
      '{"writer_id":"w","stage_id":"s","session_id":"x","worker_id":"k"}',
    )
    expect(JSON.stringify(writerToJson({ stageId: '' }))).toBe('{"stage_id":""}')
    expect(JSON.stringify(writerToJson(null))).toBe('{}')
  })
  test('gives every identity back', () => {
    fc.assert(
      fc.property(anyWriter, (given) => {
        const writer = normalizeWriter(given)
        expect(writerFromJson(JSON.parse(JSON.stringify(writerToJson(writer))))).toEqual(writer)
      }),
    )
  })
  test('is read by the rules of the origin: unknown fields pass, null is absent, no id is filled in', () => {
    expect(writerFromJson({ worker_id: 'k', more: { deep: [1] }, writer_id: null })).toEqual({
      workerId: 'k',
    })
    expect(writerFromJson({ writerId: 'w' })).toBeNull()
    expect(writerFromJson({})).toBeNull()
    expect(writerFromJson(undefined)).toBeNull()
    expect(writerFromJson(JSON.parse('{"__proto__": {"writer_id": "w"}}'))).toBeNull()
    const long = 'x'.repeat(WRITER_ID_BYTES_MAX + 1)
    expect(writerFromJson({ writer_id: long })).toEqual({ writerId: long })
    expect(Object.isFrozen(writerFromJson({ writer_id: 'w' }))).toBe(true)
  })
  test('may be a list of the ids, which the origin reads too', () => {
    expect(writerFromJson(['w', null, 'x', 'k'])).toEqual({ writerId: 'w', sessionId: 'x', workerId: 'k' })
    expect(writerFromJson([])).toBeNull()
    expect(writerFromJson(['w'])).toEqual({ writerId: 'w' })
    expect(writerFromJson(['w', 's', 'x', 'k', 'more'])).toBeUndefined()
    expect(writerFromJson([1])).toBeUndefined()
  })
  test('is undefined where the origin would refuse it', () => {
    const refused: readonly unknown[] = [
      null,
      'w',
      1,
      true,
      { writer_id: 1 },
      { stage_id: {} },
      { worker_id: ['k'] },
    ]
    for (const json of refused) expect(writerFromJson(json)).toBeUndefined()
    expect(writerFromJson(JSON.parse('{"writer_id": "\\ud800"}'))).toBeUndefined()
  })
  test('read from disk and given as a default, has its writer id filled in like any other', () => {
    const stored = writerFromJson({ stage_id: 's' })
    expect(stored).toEqual({ stageId: 's' })
    expect(normalizeWriter(stored)).toEqual({ writerId: 's', stageId: 's' })
  })
})
