import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Writer } from '../../../src/api.js'
import type { Change, Plan, Unit } from '../../../src/backend/backend.js'
import { decodeRecords } from '../../../src/backend/file/frame-decoder.js'
import { FrameEncoder } from '../../../src/backend/file/frame-encoder.js'
import { decodeHeader, FRAME_HEADER_BYTES, verifyBody } from '../../../src/backend/file/frame.js'
import { storeIdBytes } from '../../../src/backend/file/store-id.js'
import type { JournalRecord } from '../../../src/backend/file/tasks.js'
import { written } from './committing.js'
import { STORE_ID, write } from './journal-builder.js'

const PLACE = { storeId: storeIdBytes(STORE_ID), sequence: 1, segment: 5, offset: 4096, previousCrc: 0 }

function decode(bytes: Uint8Array): JournalRecord[] {
  const frame = Buffer.from(bytes)
  const header = decodeHeader(frame, 0)
  if (header === null) throw new Error('no header')
  const body = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.bodyBytes)
  expect(verifyBody(header, body)).toBe(true)
  const records = decodeRecords(body, header, { segment: 5, position: 4096 + FRAME_HEADER_BYTES })
  if (records === null) throw new Error('no records')
  return records
}

function planOf(namespace: string, units: readonly Unit[], atMs = 1): Plan {
  return { namespace, units, atMs, expected: new Map() }
}

test('a record of superseded contents lists their sizes and CRCs, as documented', () => {
  const encoder = new FrameEncoder()
  const contents = Uint32Array.of(7, 0xffffffff, 8 * 2 ** 20, 1)
  encoder.addRecord(write('k', 'value', 9))
  encoder.addRecord({
    namespace: 'n',
    revision: 9,
    atMs: 1,
    body: { kind: 'superseded', key: 'k', contents },
  })
  const { bytes } = encoder.seal(PLACE)
  expect(decode(bytes)[1]).toEqual({
    namespace: 'n',
    revision: 9,
    atMs: 1,
    body: { kind: 'superseded', key: 'k', contents },
  })
  expect(encoder.valueOffsets).toHaveLength(1)
  const value = Buffer.from('07000000ffffffff0000800001000000', 'hex')
  const at = Buffer.from(bytes).indexOf(value)
  const record = Buffer.from(bytes).subarray(at - 41, at)
  expect([record[0], record.readUInt32LE(8), record.readUInt32LE(12)]).toEqual([5, 16, crc32(value)])
})

test('the checksum of the body is that of its bytes, whatever the sizes of the values', () => {
  const sizes = fc.array(
    fc.constantFrom(0, 1, 100, 2047, 2048, 2049, 4096, 70_000).map((size) => randomBytes(size)),
    { minLength: 1, maxLength: 8 },
  )
  fc.assert(
    fc.property(sizes, (values) => {
      const encoder = new FrameEncoder()
      const changes = values.map((value, index) => written(`key-${index}`, value))
      encoder.add(planOf('n', [{ kind: 'change', changes }]), 1)
      const records = decode(encoder.seal(PLACE).bytes)
      expect(records).toHaveLength(values.length)
    }),
    { numRuns: 50 },
  )
})

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
const writers = fc.option(
  fc
    .record(
      { writerId: text, stageId: text, sessionId: text, workerId: text },
      { requiredKeys: ['writerId'] },
    )
    .map((writer): Writer => ({ ...writer })),
)
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('delete' as const), key: name }),
  fc
    .record({
      key: name,
      value: fc.uint8Array(),
      writer: writers,
      writerAtS: fc.option(fc.double({ noNaN: true })),
      anonymous: fc.boolean(),
    })
    .map((fields) => ({ kind: 'write' as const, size: fields.value.length, ...fields })),
)
const unit: fc.Arbitrary<Unit> = fc.oneof(
  fc.record({ kind: fc.constantFrom('create' as const, 'remove' as const) }),
  fc.record({ kind: fc.constant('change' as const), changes: fc.array(change, { maxLength: 4 }) }),
)
const plan: fc.Arbitrary<Plan> = fc
  .tuple(name, fc.array(unit, { maxLength: 4 }), fc.maxSafeNat())
  .map(([namespace, units, atMs]) => planOf(namespace, units, atMs))

/** What the journal should say of a plan; values are where the decoder says they are. */
function expectedRecords(given: Plan, firstRevision: number): unknown[] {
  return given.units.flatMap((entry, index): unknown[] => {
    const common = { namespace: given.namespace, revision: firstRevision + index, atMs: given.atMs }
    if (entry.kind !== 'change') return [{ ...common, body: { kind: entry.kind } }]
    return entry.changes.map((made) => {
      if (made.kind === 'delete') return { ...common, body: made }
      const { kind, key, writer, writerAtS, anonymous, size } = made
      return {
        ...common,
        body: { kind, key, writer, writerAtS, anonymous, size, value: Buffer.from(made.value) },
      }
    })
  })
}

function actualRecords(bytes: Uint8Array): unknown[] {
  return decode(bytes).map(({ body, ...common }) => {
    if (body.kind !== 'write') return { ...common, body }
    const { position, crc, segment, ...rest } = body
    const value = Buffer.from(bytes.subarray(position - PLACE.offset, position - PLACE.offset + body.size))
    expect(crc32(value)).toBe(crc)
    expect(segment).toBe(PLACE.segment)
    return { ...common, body: { ...rest, value } }
  })
}

describe('FrameEncoder', () => {
  test('encodes any plans so that they are decoded unchanged, each unit with a revision of its own', () => {
    const encoder = new FrameEncoder()
    fc.assert(
      fc.property(fc.array(fc.tuple(plan, fc.nat()), { maxLength: 4 }), (plans) => {
        encoder.reset()
        for (const [given, revision] of plans) encoder.add(given, revision)
        const expected = plans.flatMap(([given, revision]) => expectedRecords(given, revision))
        const { bytes } = encoder.seal(PLACE)
        expect(actualRecords(bytes)).toEqual(expected)
        expect(encoder.recordCount).toBe(expected.length)
        expect(encoder.frameBytes).toBe(bytes.length)
      }),
    )
  })

  test('says where each value lies, how large it is, and its checksum', () => {
    const encoder = new FrameEncoder()
    const changes = [
      written('a', 'first'),
      { kind: 'delete', key: 'b' } as const,
      written('c', '\u00e9\u{1f600}'),
    ]
    encoder.add(planOf('n', [{ kind: 'change', changes }]), 1)
    encoder.addRecord(write('d', Buffer.from([0, 255])))
    const { bytes } = encoder.seal(PLACE)
    const values = encoder.valueOffsets.map((offset, index) =>
      Buffer.from(bytes.subarray(offset, offset + (encoder.valueSizes[index] as number))),
    )
    expect(values).toEqual([Buffer.from('first'), Buffer.from('\u00e9\u{1f600}'), Buffer.from([0, 255])])
    expect(encoder.valueCrcs).toEqual(values.map((value) => crc32(value)))
  })

  test('keeps no trace of an earlier frame after a reset', () => {
    const encoder = new FrameEncoder()
    encoder.addRecord(write('secret', Buffer.alloc(10_000, 0x41)))
    encoder.seal(PLACE)
    encoder.reset()
    expect(encoder).toMatchObject({
      recordCount: 0,
      frameBytes: 4096,
      valueOffsets: [],
      valueSizes: [],
      valueCrcs: [],
    })
    encoder.addRecord(write('k', 'v'))
    const { bytes } = encoder.seal(PLACE)
    expect(decode(bytes)).toHaveLength(1)
    expect(bytes.includes(0x41, FRAME_HEADER_BYTES)).toBe(false)
  })

  test('can be sealed for another place, with the same body', () => {
    const encoder = new FrameEncoder()
    encoder.addRecord(write('k', 'v'))
    const first = encoder.seal(PLACE)
    const second = encoder.seal({ ...PLACE, segment: 6, offset: 0 })
    expect(second.crc).not.toBe(first.crc)
    expect(decode(second.bytes)).toHaveLength(1)
  })

  test('grows for a value of any size and gives the memory back', () => {
    const encoder = new FrameEncoder()
    const value = Buffer.alloc(20 * 1024 * 1024, 'x')
    encoder.add(planOf('n', [{ kind: 'change', changes: [written('large', value)] }]), 1)
    const { bytes } = encoder.seal(PLACE)
    expect(encoder.valueCrcs).toEqual([crc32(value)])
    expect(bytes.length).toBe(encoder.frameBytes)
    encoder.reset()
    expect(encoder.seal(PLACE).bytes.buffer.byteLength).toBeLessThan(1024 * 1024)
  })

  test('appends nothing of a plan that can not be encoded', () => {
    const encoder = new FrameEncoder()
    encoder.addRecord(write('before', '1'))
    const good = written('good', 'v')
    const bad: Change[] = [
      { ...written('k', 'four'), size: 3 } as Change,
      { ...written('k', 'four'), size: 5 } as Change,
      { ...written('k', new Uint8Array(4)), size: 5 } as Change,
      { ...written('k', new Uint8Array(70_000)), size: 1 } as Change,
      written('k'.repeat(65_536), 'v'),
      written('k', 'v', { writerId: '\ud800' }),
    ]
    for (const change of bad) {
      const changes = [good, change]
      expect(() => encoder.add(planOf('n', [{ kind: 'change', changes }]), 1)).toThrow(/Error|bytes|identity/)
    }
    expect(() => encoder.add(planOf('n'.repeat(65_536), [{ kind: 'create' }]), 1)).toThrow(RangeError)
    encoder.addRecord(write('after', '2'))
    expect(actualRecords(encoder.seal(PLACE).bytes)).toMatchObject([
      { body: { key: 'before', value: Buffer.from('1') } },
      { body: { key: 'after', value: Buffer.from('2') } },
    ])
    expect(encoder.valueSizes).toEqual([1, 1])
  })

  test.each([-1, 1.5, NaN, 2 ** 53])('refuses %d, which is no revision', (revision) => {
    const encoder = new FrameEncoder()
    const plan = { namespace: 'n', units: [{ kind: 'create' as const }], atMs: 1, expected: new Map() }
    expect(() => encoder.add(plan, revision)).toThrow(RangeError)
    expect(encoder.recordCount).toBe(0)
  })

  test('refuses a frame beyond what its header can say', () => {
    const encoder = new FrameEncoder()
    const change = { ...written('k', ''), size: 2 ** 32 - 4096 } as Change
    expect(() => encoder.add(planOf('n', [{ kind: 'change', changes: [change] }]), 1)).toThrow(
      /can't hold more/,
    )
  })

  test('writes nothing for a plan without records', () => {
    const encoder = new FrameEncoder()
    encoder.add(planOf('n', [{ kind: 'change', changes: [] }]), 1)
    expect(decode(encoder.seal(PLACE).bytes)).toEqual([])
  })

  test('gives records of one identity the same object', () => {
    const encoder = new FrameEncoder()
    const changes = [written('a', '1', { writerId: 'w' }), written('b', '2', { writerId: 'w' })]
    encoder.add(planOf('n', [{ kind: 'change', changes }]), 1)
    const [first, second] = decode(encoder.seal(PLACE).bytes).map(({ body }) =>
      body.kind === 'write' ? body.writer : undefined,
    )
    expect(first).toEqual({ writerId: 'w' })
    expect(second).toBe(first)
  })
})
