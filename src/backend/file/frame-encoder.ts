/**
 * Owns the bytes of one frame while it is put together. The appender keeps one encoder for the group that is being
 * written and one for the group that forms meanwhile. Each value is copied once, from the caller's bytes into
 * the frame (I4: content and metadata are in the same frame).
 */
import { crc32 } from 'node:zlib'
import type { Writer } from '../../api.js'
import { writerFromJson, writerToJson } from '../../writer.js'
import type { Change, Plan, Unit } from '../backend.js'
import { joinedCrc32 } from './crc-join.js'
import {
  encodeHeader,
  frameBytes,
  FRAME_ALIGNMENT,
  FRAME_BODY_BYTES_MAX,
  FRAME_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  RECORD_FLAGS,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type FramePlace,
} from './frame.js'

/** A record taken from another place, under the revision it has. */
export interface CarriedRecord {
  readonly namespace: string
  readonly revision: number
  readonly atMs: number
  readonly body:
    | { readonly kind: 'create' }
    | { readonly kind: 'remove' }
    | { readonly kind: 'delete'; readonly key: string }
    | { readonly kind: 'superseded'; readonly key: string; readonly contents: Uint32Array }
    | {
        readonly kind: 'write'
        readonly key: string
        readonly writer: Writer | null
        readonly writerAtS: number | null
        readonly anonymous: boolean
        readonly value: Uint8Array
      }
}

type WriteChange = Extract<Change, { kind: 'write' }>

const BUFFER_BYTES_FIRST = 64 * 1024
/** A buffer that grew larger for an unusual group is given back. */
const BUFFER_BYTES_KEPT = 8 * 1024 * 1024
/** Joining the CRC of a smaller value takes longer than making it anew. */
const JOINED_BYTES_MIN = 2048
const U16_MAX = 0xffff
const U32_BYTES = 4
const ASCII_LENGTH_MAX = 48
const ASCII_LAST = 0x7f
const NO_BYTES = Buffer.alloc(0)

/** Encodes one frame at a time; reused, so that steady load allocates nothing. */
export class FrameEncoder {
  /** Of every write in the order added: where its value starts, counted from the start of the frame. */
  readonly valueOffsets: number[] = []
  readonly valueSizes: number[] = []
  readonly valueCrcs: number[] = []
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_FIRST)
  /** Of the same bytes: the numbers of every record are written through it, which takes a tenth of what the buffer's methods do. */
  #view: DataView = new DataView(this.#buffer.buffer)
  #end = FRAME_HEADER_BYTES
  #recordCount = 0
  /** Identities are few and never change, their JSON is needed in every record. */
  readonly #writers = new WeakMap<Writer, Buffer>()

  get recordCount(): number {
    return this.#recordCount
  }

  /** Header and body, padded to the alignment. */
  get frameBytes(): number {
    return frameBytes(this.#end - FRAME_HEADER_BYTES)
  }

  reset(): void {
    if (this.#buffer.length > BUFFER_BYTES_KEPT) this.#setBuffer(Buffer.allocUnsafeSlow(BUFFER_BYTES_FIRST))
    this.#restore(FRAME_HEADER_BYTES, 0, 0)
  }

  /** Appends all units of the plan; unit i gets `firstRevision + i`. If it throws, nothing was appended. */
  add(plan: Plan, firstRevision: number): void {
    let recordCount = 0
    for (const unit of plan.units) recordCount += unit.kind === 'change' ? unit.changes.length : 1
    this.#group(plan.namespace, firstRevision, recordCount, () => {
      for (let index = 0; index < plan.units.length; index++) {
        this.#unit(plan.units[index] as Unit, firstRevision + index, plan.atMs)
      }
    })
  }

  /** Appends one record. If it throws, nothing was appended. */
  addRecord(record: CarriedRecord): void {
    const { body, revision, atMs } = record
    this.#group(record.namespace, revision, 1, () => {
      if (body.kind === 'write') this.#write({ ...body, size: body.value.length }, revision, atMs)
      else if (body.kind === 'superseded') this.#superseded(body.key, body.contents, revision, atMs)
      else this.#plain(RECORD_KINDS[body.kind], body.kind === 'delete' ? body.key : '', revision, atMs)
    })
  }

  /** The frame for its place. `bytes` is a view that is valid until `reset`; `crc` links the next frame to it. */
  seal(place: FramePlace): { readonly bytes: Uint8Array; readonly crc: number } {
    const bytes = this.#buffer.subarray(0, this.frameBytes)
    bytes.fill(0, this.#end)
    const crc = encodeHeader(bytes, place, {
      bodyBytes: this.#end - FRAME_HEADER_BYTES,
      bodyCrc: this.#bodyCrc(),
      recordCount: this.#recordCount,
    })
    return { bytes, crc }
  }

  /** Large values are not gone over again. */
  #bodyCrc(): number {
    let crc = 0
    let at = FRAME_HEADER_BYTES
    for (let index = 0; index < this.valueSizes.length; index++) {
      const size = this.valueSizes[index]!
      if (size < JOINED_BYTES_MIN) continue
      const valueAt = this.valueOffsets[index]!
      crc = crc32(this.#buffer.subarray(at, valueAt), crc)
      crc = joinedCrc32(crc, this.valueCrcs[index]!, size)
      at = valueAt + size
    }
    return at === this.#end ? crc : crc32(this.#buffer.subarray(at, this.#end), crc)
  }

  #group(namespace: string, revision: number, recordCount: number, records: () => void): void {
    if (recordCount === 0) return
    if (!Number.isSafeInteger(revision) || revision < 0) throw new RangeError(`${revision} is no revision.`)
    const start = this.#end
    const valueCount = this.valueOffsets.length
    try {
      this.#reserve(GROUP_HEADER_BYTES + 3 * namespace.length)
      const bytes = this.#text(namespace, start + GROUP_HEADER_BYTES, U16_MAX)
      this.#view.setUint16(start, bytes, true)
      this.#view.setUint16(start + 2, 0, true)
      this.#view.setUint32(start + 4, recordCount, true)
      this.#end = start + GROUP_HEADER_BYTES + bytes
      records()
      this.#recordCount += recordCount
    } catch (error) {
      this.#restore(start, this.#recordCount, valueCount)
      throw error
    }
  }

  #unit(unit: Unit, revision: number, atMs: number): void {
    if (unit.kind !== 'change') return this.#plain(RECORD_KINDS[unit.kind], '', revision, atMs)
    for (const change of unit.changes) {
      if (change.kind === 'write') this.#write(change, revision, atMs)
      else this.#plain(RECORD_KINDS.delete, change.key, revision, atMs)
    }
  }

  /** A record without a value. */
  #plain(kind: number, key: string, revision: number, atMs: number): void {
    this.#reserve(RECORD_HEADER_BYTES + 3 * key.length)
    const start = this.#end
    const keyBytes = this.#text(key, start + RECORD_HEADER_BYTES, U16_MAX)
    const buffer = this.#buffer
    buffer.fill(0, start, start + RECORD_HEADER_BYTES)
    buffer[start] = kind
    this.#view.setUint16(start + 2, keyBytes, true)
    setU64(this.#view, start + 16, revision)
    this.#view.setFloat64(start + 24, atMs, true)
    this.#end = start + RECORD_HEADER_BYTES + keyBytes
  }

  #superseded(key: string, contents: Uint32Array, revision: number, atMs: number): void {
    const start = this.#end
    const size = contents.length * U32_BYTES
    this.#reserve(RECORD_HEADER_BYTES + 3 * key.length + size)
    this.#plain(RECORD_KINDS.superseded, key, revision, atMs)
    const valueStart = this.#end
    for (const number of contents) {
      this.#view.setUint32(this.#end, number, true)
      this.#end += U32_BYTES
    }
    this.#view.setUint32(start + 8, size, true)
    this.#view.setUint32(start + 12, crc32(this.#buffer.subarray(valueStart, this.#end)), true)
  }

  #write(change: Omit<WriteChange, 'kind'>, revision: number, atMs: number): void {
    const { key, value, size, writerAtS } = change
    const writer = change.writer === null ? NO_BYTES : this.#writerBytes(change.writer)
    this.#reserve(RECORD_HEADER_BYTES + 3 * key.length + writer.length + size)
    const start = this.#end
    const buffer = this.#buffer
    const keyBytes = this.#text(key, start + RECORD_HEADER_BYTES, U16_MAX)
    const writerStart = start + RECORD_HEADER_BYTES + keyBytes
    buffer.set(writer, writerStart)
    const valueStart = writerStart + writer.length
    // A wrong size would make content of what lies behind it.
    if (value.length !== size)
      throw new RangeError(`A value of ${value.length} bytes was said to have ${size}.`)
    buffer.set(value, valueStart)
    const crc = crc32(value)

    const view = this.#view
    buffer[start] = RECORD_KINDS.write
    buffer[start + 1] =
      (change.anonymous ? RECORD_FLAGS.anonymous : 0) |
      (change.writer === null ? 0 : RECORD_FLAGS.writer) |
      (writerAtS === null ? 0 : RECORD_FLAGS.writerAtS)
    view.setUint16(start + 2, keyBytes, true)
    view.setUint32(start + 4, writer.length, true)
    view.setUint32(start + 8, size, true)
    view.setUint32(start + 12, crc, true)
    setU64(view, start + 16, revision)
    view.setFloat64(start + 24, atMs, true)
    view.setFloat64(start + 32, writerAtS ?? 0, true)
    this.#end = valueStart + size

    this.valueOffsets.push(valueStart)
    this.valueSizes.push(size)
    this.valueCrcs.push(crc)
  }

  /** Writes a text where three bytes for each UTF-16 unit are reserved, and returns its length in bytes. */
  #text(text: string, at: number, bytesMax: number): number {
    const bytes = this.#ascii(text, at) ? text.length : this.#buffer.write(text, at, 'utf8')
    if (bytes > bytesMax) throw new RangeError(`A name of ${bytes} bytes is too long for the journal.`)
    return bytes
  }

  /** False if it is not a short text of ASCII, as most names are: for those a call into the engine takes longer. */
  #ascii(text: string, at: number): boolean {
    const buffer = this.#buffer
    if (text.length > ASCII_LENGTH_MAX) return false
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > ASCII_LAST) return false
      buffer[at + index] = unit
    }
    return true
  }

  #writerBytes(writer: Writer): Buffer {
    const known = this.#writers.get(writer)
    if (known !== undefined) return known
    const json = writerToJson(writer)
    if (writerFromJson(json) === undefined) throw new TypeError('An identity has a field that is not a text.')
    const bytes = Buffer.from(JSON.stringify(json))
    this.#writers.set(writer, bytes)
    return bytes
  }

  /** Makes room for so many bytes, the padding of the frame included. */
  #reserve(bytes: number): void {
    const needed = this.#end + bytes + FRAME_ALIGNMENT
    if (needed <= this.#buffer.length) return
    if (this.#end - FRAME_HEADER_BYTES + bytes > FRAME_BODY_BYTES_MAX) {
      throw new RangeError(`A frame of the journal can't hold more than ${FRAME_BODY_BYTES_MAX} bytes.`)
    }
    const doubled = Math.min(2 * this.#buffer.length, FRAME_BODY_BYTES_MAX)
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, doubled))
    this.#buffer.copy(grown, 0, 0, this.#end)
    this.#setBuffer(grown)
  }

  #setBuffer(buffer: Buffer): void {
    this.#buffer = buffer
    this.#view = new DataView(buffer.buffer)
  }

  #restore(end: number, recordCount: number, valueCount: number): void {
    this.#end = end
    this.#recordCount = recordCount
    this.valueOffsets.length = valueCount
    this.valueSizes.length = valueCount
    this.valueCrcs.length = valueCount
  }
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}
