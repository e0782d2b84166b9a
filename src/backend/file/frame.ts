/**
 * The bytes of the journal: this comment is the description of the format, version 1.
 *
 * The journal is a chain of frames in segment files. A frame holds what one append made durable, begins at a multiple
 * of 4096 bytes, never spans two segments, and is padded with zeros to the next multiple. The next frame follows
 * there, or at the start of another segment. Between the last frame and the end of a segment there are zeros, or what
 * is left of an older use of the file. All numbers are little endian. A `u64` is at most 2^53 - 1. A CRC is the CRC-32
 * of zlib and IEEE 802.3.
 *
 * Frame header, 64 bytes:
 *
 * | at | bytes | content |
 * |---:|------:|---------|
 * |  0 |     4 | magic: 0xA5 `A` `S` `1` |
 * |  4 |     4 | zero |
 * |  8 |    16 | store id: the bytes of the UUID |
 * | 24 |     8 | sequence, u64: one more than the previous frame's |
 * | 32 |     8 | segment, u64: the id that is this file's name |
 * | 40 |     4 | offset of the frame in its segment, u32 |
 * | 44 |     4 | length of the body in bytes, u32 |
 * | 48 |     4 | header CRC of the previous frame; 0 for the first one of a store |
 * | 52 |     4 | number of records in the body, u32 |
 * | 56 |     4 | CRC of the body |
 * | 60 |     4 | header CRC: of the 60 bytes before it |
 *
 * As the header CRC covers the body's, and the next frame names the header CRC, each frame vouches for all before it.
 *
 * The body is a list of groups, each with records of one namespace in the order in which they take effect:
 *
 * | bytes | content |
 * |------:|---------|
 * |     2 | length of the namespace in bytes, u16 |
 * |     2 | zero |
 * |     4 | number of records of the group, u32, at least 1 |
 * |       | namespace, UTF-8 |
 * |       | the records |
 *
 * Record, 40 bytes and three texts:
 *
 * | at | bytes | content |
 * |---:|------:|---------|
 * |  0 |     1 | kind. 1: the namespace is created, 2: it is removed, 3: a key is written, 4: a key is deleted, 5: superseded |
 * |  1 |     1 | flags. 1: the change is anonymous, 2: there is a writer, 4: the time of the writer is known |
 * |  2 |     2 | length of the key in bytes, u16 |
 * |  4 |     4 | length of the writer in bytes, u32 |
 * |  8 |     4 | length of the value in bytes, u32 |
 * | 12 |     4 | CRC of the value |
 * | 16 |     8 | revision, u64. The records of a batch have the same one |
 * | 24 |     8 | when the change was made, in milliseconds since 1970, f64 |
 * | 32 |     8 | when the writer wrote, in seconds since 1970, f64 |
 * | 40 |       | key, UTF-8; empty for the kinds 1 and 2 |
 * |    |       | writer: the identity's JSON as in the metadata, without white space |
 * |    |       | value, exactly as it was given |
 *
 * Lengths and flags that a kind has no use for are zero. A record of kind 5 stands behind the latest record of its key
 * where recovery has written that again: it names contents that the key had before, one of which a crash may have left in
 * the tree. Its value is a list of them: of each the size and the CRC, both u32.
 *
 * Rules that readers of the journal rely on, and appenders keep:
 * - A frame is durable before the next one is written. So a frame's existence proves that all before it were durable.
 * - A segment is used again from its start, under a new id or the old one, only when a checkpoint behind all of its
 *   frames is durable. So what is left of its older use has smaller sequences than any frame that is expected since.
 * - A sequence is used again only if the frame that had it was torn.
 * - A frame counts only where its header says it is: in this store, segment and offset. Values may contain anything,
 *   copies of frames included.
 */
import { crc32 } from 'node:zlib'

/** A frame begins at a multiple of this, so that an append never rewrites a block that holds acknowledged bytes. */
export const FRAME_ALIGNMENT = 4096
export const FRAME_HEADER_BYTES = 64
/** The most bytes that the body of a frame may have: the next frame's offset still fits 32 bits. */
export const FRAME_BODY_BYTES_MAX = 2 ** 32 - 2 * FRAME_ALIGNMENT
/** What the first frame of a store has for the CRC of the previous one. */
export const FIRST_PREVIOUS_CRC = 0

export const GROUP_HEADER_BYTES = 8
export const RECORD_HEADER_BYTES = 40
export const RECORD_KINDS = { create: 1, remove: 2, write: 3, delete: 4, superseded: 5 } as const
export const RECORD_FLAGS = { anonymous: 1, writer: 2, writerAtS: 4 } as const

/** 0xA5 occurs in no ASCII text, so that searching a text for frames seldom has to look further. */
const MAGIC = 0x315341a5
const HEADER_CRC_AT = 60

/** Where a frame lies and what links it to the one before it. */
export interface FramePlace {
  readonly storeId: Uint8Array
  readonly sequence: number
  readonly segment: number
  readonly offset: number
  readonly previousCrc: number
}

/** What a header says of the body behind it. */
export interface FrameBody {
  readonly bodyBytes: number
  readonly bodyCrc: number
  readonly recordCount: number
}

export interface FrameHeader extends FramePlace, FrameBody {
  /** Of this header; what the next frame's `previousCrc` must be. */
  readonly crc: number
}

/** The bytes that a frame takes in its segment: header and body, padded to the alignment. */
export function frameBytes(bodyBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + bodyBytes) / FRAME_ALIGNMENT) * FRAME_ALIGNMENT
}

/** Writes a header to the start of `bytes` and returns its CRC. */
export function encodeHeader(bytes: Buffer, place: FramePlace, body: FrameBody): number {
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(0, 4)
  bytes.set(place.storeId, 8)
  writeU64(bytes, place.sequence, 24)
  writeU64(bytes, place.segment, 32)
  bytes.writeUInt32LE(place.offset, 40)
  bytes.writeUInt32LE(body.bodyBytes, 44)
  bytes.writeUInt32LE(place.previousCrc, 48)
  bytes.writeUInt32LE(body.recordCount, 52)
  bytes.writeUInt32LE(body.bodyCrc, 56)
  const crc = crc32(bytes.subarray(0, HEADER_CRC_AT))
  bytes.writeUInt32LE(crc, HEADER_CRC_AT)
  return crc
}

/** Null unless an undamaged header lies there. It may still belong to another place. */
export function decodeHeader(bytes: Buffer, offset: number): FrameHeader | null {
  if (offset < 0 || offset + FRAME_HEADER_BYTES > bytes.length) return null
  if (bytes.readUInt32LE(offset) !== MAGIC) return null
  const header = bytes.subarray(offset, offset + FRAME_HEADER_BYTES)
  const crc = crc32(header.subarray(0, HEADER_CRC_AT))
  const sequence = readU64(header, 24)
  const segment = readU64(header, 32)
  const bodyBytes = header.readUInt32LE(44)
  if (crc !== header.readUInt32LE(HEADER_CRC_AT) || header.readUInt32LE(4) !== 0) return null
  if (sequence === null || segment === null || bodyBytes > FRAME_BODY_BYTES_MAX) return null
  return {
    storeId: header.subarray(8, 24),
    sequence,
    segment,
    offset: header.readUInt32LE(40),
    previousCrc: header.readUInt32LE(48),
    bodyBytes,
    bodyCrc: header.readUInt32LE(56),
    recordCount: header.readUInt32LE(52),
    crc,
  }
}

/** Whether a header says that its frame belongs where it was found. */
export function liesAt(header: FrameHeader, storeId: Uint8Array, segment: number, offset: number): boolean {
  return (
    header.segment === segment && header.offset === offset && Buffer.compare(header.storeId, storeId) === 0
  )
}

export function verifyBody(header: FrameBody, body: Uint8Array): boolean {
  return body.length === header.bodyBytes && crc32(body) === header.bodyCrc
}

export function writeU64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value >>> 0, offset)
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4)
}

/** Null if it is not a safe integer. */
export function readU64(bytes: Buffer, offset: number): number | null {
  const high = bytes.readUInt32LE(offset + 4)
  // The engine keeps the sum as a number with a fraction, however small it is, and so all that is counted on from it: each
  // revision and position would take 16 bytes more wherever it is kept.
  if (high === 0) return bytes.readUInt32LE(offset)
  const value = high * 2 ** 32 + bytes.readUInt32LE(offset)
  return Number.isSafeInteger(value) ? value : null
}
