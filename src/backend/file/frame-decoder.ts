import type { Writer } from '../../api.js'
import { writerFromJson } from '../../writer.js'
import {
  GROUP_HEADER_BYTES,
  readU64,
  RECORD_FLAGS,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type FrameBody,
} from './frame.js'
import type { JournalRecord } from './tasks.js'

const U32_BYTES = 4
const PAIR_BYTES = 2 * U32_BYTES

/** Where a body lies: positions of values are counted from the start of the segment. */
export interface BodyPlace {
  readonly segment: number
  readonly position: number
}

/**
 * The records of a body whose CRC was verified. Null if the bytes are not what an encoder makes. Every length is
 * checked against what is there before it is used, so that any bytes may be given.
 */
export function decodeRecords(
  body: Buffer,
  header: Pick<FrameBody, 'recordCount'>,
  place: BodyPlace,
): JournalRecord[] | null {
  const reader = new BodyReader(body, place)
  const records: JournalRecord[] = []
  while (!reader.atEnd) {
    const group = reader.group()
    if (group === null) return null
    for (let left = group.recordCount; left > 0; left--) {
      const record = reader.record(group.namespace)
      if (record === null) return null
      records.push(record)
    }
  }
  return records.length === header.recordCount ? records : null
}

/** Reads a body from front to back. */
class BodyReader {
  readonly #body: Buffer
  readonly #place: BodyPlace
  #at = 0
  /** By their JSON: few identities make many records, and records that share one take less memory. */
  readonly #writers = new Map<string, Writer | null>()

  constructor(body: Buffer, place: BodyPlace) {
    this.#body = body
    this.#place = place
  }

  get atEnd(): boolean {
    return this.#at === this.#body.length
  }

  group(): { readonly namespace: string; readonly recordCount: number } | null {
    const start = this.#at
    if (!this.#has(GROUP_HEADER_BYTES)) return null
    const bytes = this.#body.readUInt16LE(start)
    const recordCount = this.#body.readUInt32LE(start + 4)
    if (recordCount === 0 || !this.#has(GROUP_HEADER_BYTES + bytes)) return null
    this.#at = start + GROUP_HEADER_BYTES + bytes
    return { namespace: this.#body.toString('utf8', start + GROUP_HEADER_BYTES, this.#at), recordCount }
  }

  record(namespace: string): JournalRecord | null {
    const body = this.#body
    const start = this.#at
    if (!this.#has(RECORD_HEADER_BYTES)) return null
    const keyBytes = body.readUInt16LE(start + 2)
    const writerBytes = body.readUInt32LE(start + 4)
    const size = body.readUInt32LE(start + 8)
    const revision = readU64(body, start + 16)
    if (revision === null || !this.#has(RECORD_HEADER_BYTES + keyBytes + writerBytes + size)) return null
    const keyStart = start + RECORD_HEADER_BYTES
    const writerStart = keyStart + keyBytes
    const valueStart = writerStart + writerBytes
    this.#at = valueStart + size

    const kind = body[start]
    const common = { namespace, revision, atMs: body.readDoubleLE(start + 24) }
    if (kind === RECORD_KINDS.create) return { ...common, body: { kind: 'create' } }
    if (kind === RECORD_KINDS.remove) return { ...common, body: { kind: 'remove' } }
    const key = body.toString('utf8', keyStart, writerStart)
    if (kind === RECORD_KINDS.delete) return { ...common, body: { kind: 'delete', key } }
    if (kind === RECORD_KINDS.superseded) {
      if (size % PAIR_BYTES !== 0) return null
      return { ...common, body: { kind: 'superseded', key, contents: this.#contents(valueStart, size) } }
    }
    if (kind !== RECORD_KINDS.write) return null
    const flags = body[start + 1] as number
    const writer = (flags & RECORD_FLAGS.writer) === 0 ? null : this.#writer(writerStart, valueStart)
    if (writer === undefined) return null
    return {
      ...common,
      body: {
        kind: 'write',
        key,
        writer,
        writerAtS: (flags & RECORD_FLAGS.writerAtS) === 0 ? null : body.readDoubleLE(start + 32),
        anonymous: (flags & RECORD_FLAGS.anonymous) !== 0,
        segment: this.#place.segment,
        position: this.#place.position + valueStart,
        size,
        crc: body.readUInt32LE(start + 12),
      },
    }
  }

  #contents(start: number, size: number): Uint32Array {
    return Uint32Array.from({ length: size / U32_BYTES }, (_, index) =>
      this.#body.readUInt32LE(start + index * U32_BYTES),
    )
  }

  /** Undefined if it is not an identity. */
  #writer(start: number, end: number): Writer | null | undefined {
    const text = this.#body.toString('utf8', start, end)
    const known = this.#writers.get(text)
    if (known !== undefined) return known
    const writer = writerFromJson(parseJson(text))
    if (writer !== undefined) this.#writers.set(text, writer)
    return writer
  }

  #has(bytes: number): boolean {
    return bytes <= this.#body.length - this.#at
  }
}

/** False, which is no identity either, if it is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return false
  }
}
