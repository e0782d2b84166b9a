/**
 * The file beside an entry's content that says who wrote it. Its first two fields are the origin's, byte for byte; ours
 * follow, and the origin's reader passes over them:
 *
 * ```
 * {
 *   "writer": { "writer_id", "stage_id", "session_id", "worker_id" },   absent ids are left out; {} if nobody is known
 *   "updated_at": seconds or null,         when that writer wrote
 *   "revision": 7,
 *   "store": "<id of the store>",
 *   "size": 5,                             of the content, in bytes
 *   "checksum": "crc32:3610a686",          of the content
 *   "written_at": 1795369429123,           when this revision was written, in milliseconds; also the content's mtime
 *   "anonymous": true,                     only if this revision had no identity
 *   "key": "a.json/b",                     only in the second place, whose name does not tell
 *   "metadata_checksum": "crc32:67ec2e7f"  of the fields above as JSON without white space
 * }
 * ```
 *
 * Fields that do not fit their checksum are not ours: somebody changed them, or the disk did. The entry is then one that
 * was changed from outside, which is reported; a bit of a writer's id or of a revision can't turn without being noticed.
 *
 * `JSON.stringify` with two spaces gives the bytes that serde's pretty printer gives. Reading takes and refuses what
 * serde takes and refuses for the origin's two fields, so that both programs agree on what is damaged.
 */
import { crc32 } from 'node:zlib'
import type { Writer } from '../../api.js'
import { decodeUtf8, isWellFormed } from '../../utf8.js'
import { writerFromJson, writerToJson } from '../../writer.js'

export interface Metadata {
  /** The last named writer. */
  readonly writer: Writer | null
  /** When it wrote, in seconds since 1970. */
  readonly writerAtS: number | null
  /** What this library adds; null if it is absent, makes no sense, or does not fit its checksum. */
  readonly own: OwnMetadata | null
}

export interface OwnMetadata {
  readonly revision: number
  readonly storeId: string
  readonly size: number
  readonly crc: number
  readonly writtenAtMs: number
  readonly anonymous: boolean
  /** Null outside the second place. */
  readonly key: string | null
}

/** A file over it counts as damaged; the identities of this library stay far below. */
export const METADATA_BYTES_MAX = 1024 * 1024

export function encodeMetadata(metadata: Metadata & { readonly own: OwnMetadata }): string {
  const fields = fieldsOf(metadata, metadata.own)
  return JSON.stringify({ ...fields, metadata_checksum: formatChecksum(checksumOf(fields)) }, null, 2)
}

/** In the order in which they are written; undefined ones are left out. */
function fieldsOf({ writer, writerAtS }: Omit<Metadata, 'own'>, own: OwnMetadata): object {
  return {
    writer: writerToJson(writer),
    updated_at: writerAtS,
    revision: own.revision,
    store: own.storeId,
    size: own.size,
    checksum: formatChecksum(own.crc),
    written_at: own.writtenAtMs,
    anonymous: own.anonymous ? true : undefined,
    key: own.key ?? undefined,
  }
}

function checksumOf(fields: object): number {
  return crc32(JSON.stringify(fields))
}

/** Null: the origin's reader would refuse it. */
export function parseMetadata(bytes: Uint8Array): Metadata | null {
  const text = decodeUtf8(bytes)
  if (text === null) return null
  const asWritten = parseAsWritten(text, bytes)
  if (asWritten !== null) return asWritten
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // Not JSON is an answer here, not a failure.
    return null
  }
  if (typeof json !== 'object' || json === null) return null
  const fields = structFields(text, ['writer', 'updated_at'])
  if (fields === null) return null
  const [writerSource, updatedAtSource] = fields
  const writer = parseWriter(writerSource)
  const writerAtS = parseSeconds(updatedAtSource)
  if (writer === undefined || writerAtS === undefined) return null
  const own = ownFields(json)
  const { metadata_checksum: checksum } = json as Record<string, unknown>
  const fits = own !== null && parseChecksum(checksum) === checksumOf(fieldsOf({ writer, writerAtS }, own))
  return { writer, writerAtS, own: fits ? own : null }
}

/** A text in which nothing is escaped, and a count that is no longer than any that is exact. */
const PLAIN = '[ !#-\\[\\]-~]*'
const COUNT = '(?:0|[1-9]\\d{0,14})'

/** There is a comma behind an id exactly if there is another id behind it. */
function idPattern(name: string): string {
  return `(?:\\n {4}"${name}": "(${PLAIN})"(?:,(?=\\n {4})|(?=\\n {2}\\})))?`
}

/**
 * Nearly all metadata is laid out as this library writes it: then nothing is named twice and every number is written as it
 * must be, so that there is nothing to look at closely.
 */
const AS_WRITTEN = new RegExp(
  [
    `^\\{\\n {2}"writer": \\{${['writer_id', 'stage_id', 'session_id', 'worker_id'].map(idPattern).join('')}(?:\\n {2})?\\}`,
    `"updated_at": (null|${COUNT})`,
    `"revision": ([1-9]\\d{0,14})`,
    `"store": "(${PLAIN})"`,
    `"size": (${COUNT})`,
    `"checksum": "crc32:([0-9a-f]{8})"`,
    `"written_at": (${COUNT})(,\\n {2}"anonymous": true)?`,
    `"metadata_checksum": "crc32:([0-9a-f]{8})"\\n\\}$`,
  ].join(',\\n {2}'),
)

/** Null: it is to be looked at closely. */
function parseAsWritten(text: string, bytes: Uint8Array): Metadata | null {
  const found = AS_WRITTEN.exec(text)
  if (found === null) return null
  const [, writer_id, stage_id, session_id, worker_id, updatedAt, ...rest] = found
  const [revision, storeId, size, crc, writtenAt, anonymous, checksum] = rest
  const writer = writerFromJson({ writer_id, stage_id, session_id, worker_id })
  if (writer === undefined) return null
  const writerAtS = updatedAt === 'null' ? null : Number(updatedAt)
  const own: OwnMetadata = {
    revision: Number(revision),
    storeId: storeId!,
    size: Number(size),
    crc: Number.parseInt(crc!, 16),
    writtenAtMs: Number(writtenAt),
    anonymous: anonymous !== undefined,
    key: null,
  }
  return Number.parseInt(checksum!, 16) === checksumAsWritten(bytes) ? { writer, writerAtS, own } : null
}

const CHECKSUM_FIELD_BYTES = ',\n  "metadata_checksum": "crc32:00000000"\n}'.length
const OBJECT_END = '}'.charCodeAt(0)

/** What `checksumOf` gives for the fields: of the same bytes, found by leaving out the white space, in a third of the time. */
function checksumAsWritten(bytes: Uint8Array): number {
  const json = new Uint8Array(bytes.length)
  let length = 0
  let inText = false
  for (let index = 0; index < bytes.length - CHECKSUM_FIELD_BYTES; index++) {
    const byte = bytes[index]!
    if (byte === QUOTE) inText = !inText
    if (inText || byte > SPACE) json[length++] = byte
  }
  json[length++] = OBJECT_END
  return crc32(json.subarray(0, length))
}

function parseWriter(source: string | undefined): Writer | null | undefined {
  if (source === undefined) return null
  if (!source.startsWith('{') && !source.startsWith('[')) return undefined
  if (structFields(source, ['writer_id', 'stage_id', 'session_id', 'worker_id']) === null) return undefined
  return writerFromJson(JSON.parse(source))
}

const U64_MAX = 2n ** 64n - 1n

/** As serde reads an `Option<u64>`: `5.0`, `5e0` and `-0` are no integers. Undefined: refused. */
function parseSeconds(source: string | undefined): number | null | undefined {
  if (source === undefined || source === 'null') return null
  if (!/^\d+$/.test(source) || BigInt(source) > U64_MAX) return undefined
  const seconds = Number(source)
  // The origin takes times that JavaScript can't hold. Writing back a rounded one might leave what it can't read.
  return Number.isSafeInteger(seconds) ? seconds : null
}

/**
 * How serde finds the fields of a struct in valid JSON: by name, or in order when it is an array. Gives each field's
 * JSON text, or null where serde refuses: a field named twice, more elements than fields, a name that is not text.
 * `JSON.parse` alone would hide the repeated name, and how a number was written.
 */
function structFields(json: string, names: readonly string[]): (string | undefined)[] | null {
  const members = splitMembers(json)
  if (json.trimStart().startsWith('[')) {
    return members.length > names.length ? null : names.map((_, index) => members[index]?.value)
  }
  const fields: (string | undefined)[] = names.map(() => undefined)
  for (const member of members) {
    const name: unknown = JSON.parse(member.name)
    if (typeof name !== 'string' || !isWellFormed(name)) return null
    const index = names.indexOf(name)
    if (index === -1) continue
    if (fields[index] !== undefined) return null
    fields[index] = member.value
  }
  return fields
}

interface Member {
  /** JSON text; empty in an array. */
  readonly name: string
  readonly value: string
}

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c

/** Cuts an object or array, known to be valid JSON, into its members. */
function splitMembers(json: string): Member[] {
  const members: Member[] = []
  let depth = 0
  let start = 0
  let name = ''
  const endMember = (end: number): void => {
    const value = json.slice(start, end).trim()
    if (value !== '') members.push({ name, value })
    name = ''
    start = end + 1
  }
  for (let index = 0; index < json.length; index++) {
    const unit = json.charCodeAt(index)
    if (unit === QUOTE) {
      index = endOfString(json, index)
    } else if (isOpening(unit)) {
      if (++depth === 1) start = index + 1
    } else if (isClosing(unit)) {
      if (--depth === 0) endMember(index)
    } else if (depth === 1 && unit === COLON) {
      name = json.slice(start, index)
      start = index + 1
    } else if (depth === 1 && unit === COMMA) {
      endMember(index)
    }
  }
  return members
}

/** Index of the closing quote. */
function endOfString(json: string, openingQuote: number): number {
  let index = openingQuote + 1
  while (json.charCodeAt(index) !== QUOTE) index += json.charCodeAt(index) === BACKSLASH ? 2 : 1
  return index
}

function isOpening(unit: number): boolean {
  return unit === 0x7b || unit === 0x5b
}

function isClosing(unit: number): boolean {
  return unit === 0x7d || unit === 0x5d
}

function ownFields(json: object): OwnMetadata | null {
  const { revision, store, size, checksum, written_at, anonymous, key } = json as Record<string, unknown>
  const crc = parseChecksum(checksum)
  if (!isCount(revision) || revision === 0 || typeof store !== 'string' || !isCount(size) || crc === null)
    return null
  if (typeof written_at !== 'number' || !Number.isSafeInteger(written_at)) return null
  if (anonymous !== undefined && typeof anonymous !== 'boolean') return null
  if (key !== undefined && typeof key !== 'string') return null
  return {
    revision,
    storeId: store,
    size,
    crc,
    writtenAtMs: written_at,
    anonymous: anonymous === true,
    key: key ?? null,
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function formatChecksum(crc: number): string {
  return `crc32:${crc.toString(16).padStart(8, '0')}`
}

function parseChecksum(text: unknown): number | null {
  if (typeof text !== 'string' || !/^crc32:[0-9a-f]{8}$/.test(text)) return null
  return Number.parseInt(text.slice('crc32:'.length), 16)
}
