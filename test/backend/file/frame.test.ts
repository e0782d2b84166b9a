import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRecords } from '../../../src/backend/file/frame-decoder.js'
import { FrameEncoder } from '../../../src/backend/file/frame-encoder.js'
import {
  decodeHeader,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameBytes,
  liesAt,
  verifyBody,
} from '../../../src/backend/file/frame.js'
import { storeIdBytes } from '../../../src/backend/file/store-id.js'
import { OTHER_STORE_ID, STORE_ID, write } from './journal-builder.js'

const storeId = storeIdBytes(STORE_ID)
const PLACE = { storeId, sequence: 7, segment: 3, offset: 8192, previousCrc: 0xdeadbeef }

function smallFrame(): Buffer {
  const encoder = new FrameEncoder()
  encoder.addRecord(write('evidence/a.json', 'four words of value', 9))
  encoder.addRecord({ namespace: 'other', revision: 10, atMs: 1, body: { kind: 'delete', key: 'k' } })
  return Buffer.from(encoder.seal(PLACE).bytes)
}

/** What a reader accepts: the records, or null. */
function accept(frame: Buffer): unknown {
  const header = decodeHeader(frame, 0)
  if (header === null || !liesAt(header, storeId, PLACE.segment, PLACE.offset)) return null
  const body = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.bodyBytes)
  return verifyBody(header, body) ? decodeRecords(body, header, { segment: 3, position: 8192 + 64 }) : null
}

describe('the layout of a frame', () => {
  test('is the documented one, byte by byte', () => {
    const encoder = new FrameEncoder()
    encoder.addRecord({
      namespace: 'ns',
      revision: 2 ** 32 + 5,
      atMs: 1.5,
      body: {
        kind: 'write',
        key: 'k\u00e9y',
        writer: { writerId: 'w', workerId: '' },
        writerAtS: 2,
        anonymous: true,
        value: Buffer.from('value'),
      },
    })
    const { bytes, crc } = encoder.seal({ ...PLACE, sequence: 2 ** 40 + 1 })
    // Put together by another program from the description of the format.
    const header = [
      ['magic, flags', 'a541533100000000'],
      ['store id', '0192f3a45b6c7d8e9fa0b1c2d3e4f506'],
      ['sequence, segment, offset', '0100000000010000030000000000000000200000'],
      ['length of the body, CRC of the previous header, records', '5b000000efbeadde01000000'],
      ['CRC of the body, of the header', 'e7072c4362d97548'],
    ]
    const body = [
      ['namespace: length, records, text', '0200000001000000' + '6e73'],
      ['record: kind, flags, lengths of key, writer and value', '0307040020000000' + '05000000'],
      ['CRC of the value', '3458771d'],
      ['revision, time, time of the writer', '0500000001000000' + '000000000000f83f' + '0000000000000040'],
      ['key', '6bc3a979'],
      ['writer', Buffer.from('{"writer_id":"w","worker_id":""}').toString('hex')],
      ['value', Buffer.from('value').toString('hex')],
    ]
    const expected = Buffer.from([...header, ...body].map(([, hex]) => hex).join(''), 'hex')
    expect(Buffer.from(bytes.subarray(0, expected.length)).toString('hex')).toBe(expected.toString('hex'))
    expect(crc).toBe(0x4875d962)
    expect(bytes.length).toBe(FRAME_ALIGNMENT)
    expect(bytes.subarray(expected.length).every((byte) => byte === 0)).toBe(true)
  })

  test('may have no records', () => {
    const { bytes, crc } = new FrameEncoder().seal(PLACE)
    const header = decodeHeader(Buffer.from(bytes), 0)
    expect(header).toMatchObject({ recordCount: 0, bodyBytes: 0, bodyCrc: 0, crc })
  })

  test('returns numbers up to 2^53 - 1 unchanged', () => {
    const integer = fc.maxSafeNat()
    const u32 = fc.nat({ max: 0xffffffff })
    fc.assert(
      fc.property(integer, integer, u32, u32, (sequence, segment, offset, previousCrc) => {
        const place = { sequence, segment, offset, previousCrc }
        const { bytes, crc } = new FrameEncoder().seal({ ...place, storeId })
        expect(decodeHeader(Buffer.from(bytes), 0)).toMatchObject({ ...place, crc })
      }),
    )
  })

  test('takes whole blocks', () => {
    expect([0, 1, 4032, 4033, 2 ** 32 - 8192].map(frameBytes)).toEqual([
      4096,
      4096,
      4096,
      8192,
      2 ** 32 - 4096,
    ])
  })
})

describe('damage to a frame', () => {
  test('of any single bit of header and body is noticed', () => {
    const frame = smallFrame()
    expect(accept(frame)).toHaveLength(2)
    const used = FRAME_HEADER_BYTES + (decodeHeader(frame, 0)?.bodyBytes ?? 0)
    for (let bit = 0; bit < used * 8; bit++) {
      const damaged = Buffer.from(frame)
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(accept(damaged), `bit ${bit}`).toBeNull()
    }
  })

  test('of any single bit of a large frame is noticed', () => {
    const encoder = new FrameEncoder()
    encoder.addRecord(write('large', Buffer.alloc(300_000, 'abc')))
    const frame = Buffer.from(encoder.seal(PLACE).bytes)
    fc.assert(
      fc.property(fc.nat({ max: 300_000 * 8 }), (bit) => {
        const byte = frame[bit >> 3] as number
        frame[bit >> 3] = byte ^ (1 << (bit & 7))
        const accepted = accept(frame)
        frame[bit >> 3] = byte
        expect(accepted).toBeNull()
      }),
    )
  })

  test('by cutting it off anywhere is noticed', () => {
    const frame = smallFrame()
    const used = FRAME_HEADER_BYTES + (decodeHeader(frame, 0)?.bodyBytes ?? 0)
    for (let length = 0; length < used; length++) expect(accept(frame.subarray(0, length))).toBeNull()
    expect(accept(frame.subarray(0, used))).not.toBeNull()
  })
})

describe('bytes that are not a frame', () => {
  test('have no header, wherever one looks', () => {
    const offsets = fc.integer({ min: -10, max: 600 })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), offsets, (bytes, offset) => {
        expect(decodeHeader(Buffer.from(bytes), offset)).toBeNull()
      }),
    )
  })

  test('have no header if a number in it is none that can be counted with', () => {
    for (const at of [24, 32]) {
      const frame = smallFrame()
      frame.writeUInt32LE(2 ** 21, at + 4)
      frame.writeUInt32LE(crc32(frame.subarray(0, 60)), 60)
      expect(decodeHeader(frame, 0)).toBeNull()
      frame.writeUInt32LE(2 ** 21 - 1, at + 4)
      frame.writeUInt32LE(crc32(frame.subarray(0, 60)), 60)
      expect(decodeHeader(frame, 0)).not.toBeNull()
    }
  })

  test('of another place or store do not count', () => {
    const header = decodeHeader(smallFrame(), 0)
    if (header === null) throw new Error('no header')
    expect(liesAt(header, storeId, 3, 8192)).toBe(true)
    expect(liesAt(header, storeId, 4, 8192)).toBe(false)
    expect(liesAt(header, storeId, 3, 4096)).toBe(false)
    expect(liesAt(header, storeIdBytes(OTHER_STORE_ID), 3, 8192)).toBe(false)
  })

  test('are never read beyond their end as records, whatever their lengths say', () => {
    const frame = smallFrame()
    const bodyBytes = decodeHeader(frame, 0)?.bodyBytes ?? 0
    const body = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + bodyBytes)
    const hostile = fc.record({
      at: fc.nat({ max: bodyBytes - 1 }),
      value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff),
    })
    fc.assert(
      fc.property(
        fc.array(hostile, { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 142 }),
        (changes, length) => {
          const damaged = Buffer.from(body.subarray(0, length))
          for (const { at, value } of changes) if (at < length) damaged[at] = value
          const records = decodeRecords(damaged, { recordCount: 2 }, { segment: 1, position: 0 })
          for (const { body: found } of records ?? []) {
            if (found.kind === 'write') expect(found.position + found.size).toBeLessThanOrEqual(length)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('with a huge number of records take no memory for them', () => {
    const group = Buffer.from('00000000ffffffff', 'hex')
    expect(decodeRecords(group, { recordCount: 0xffffffff }, { segment: 1, position: 0 })).toBeNull()
  })

  test('are no records if they are more or fewer than the header says', () => {
    const body = smallFrame().subarray(FRAME_HEADER_BYTES)
    const bodyBytes = decodeHeader(smallFrame(), 0)?.bodyBytes ?? 0
    const place = { segment: 1, position: 0 }
    for (const recordCount of [0, 1, 3]) {
      expect(decodeRecords(body.subarray(0, bodyBytes), { recordCount }, place)).toBeNull()
    }
    // A group without records.
    expect(decodeRecords(Buffer.alloc(8), { recordCount: 0 }, place)).toBeNull()
    expect(decodeRecords(Buffer.alloc(0), { recordCount: 0 }, place)).toEqual([])
  })

  test('are no records if the identity is not one', () => {
    const encoder = new FrameEncoder()
    const record = write('k', 'v')
    if (record.body.kind !== 'write') throw new Error('not a write')
    encoder.addRecord({ ...record, body: { ...record.body, writer: { writerId: 'wwww' } } })
    const frame = Buffer.from(encoder.seal(PLACE).bytes)
    const bodyBytes = decodeHeader(frame, 0)?.bodyBytes ?? 0
    const body = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + bodyBytes)
    body.write('1234\u007d ', body.indexOf('"wwww"'))
    expect(decodeRecords(body, { recordCount: 1 }, { segment: 1, position: 0 })).toBeNull()
    body.write('{', body.indexOf('1234'))
    expect(decodeRecords(body, { recordCount: 1 }, { segment: 1, position: 0 })).toBeNull()
  })
})
