import type { Writer } from './api.js'
import { checkOptions } from './check-options.js'
import { typeName } from './messages.js'
import { isWellFormed, utf8Length } from './utf8.js'

/** Every record of the journal and every metadata file carries the identity. */
export const WRITER_ID_BYTES_MAX = 1024

const FIELDS: ReadonlySet<string> = new Set(['writerId', 'stageId', 'sessionId', 'workerId'])

/** An identity as it is stored. Absent fields are left out. */
export interface WriterJson {
  writer_id?: string
  stage_id?: string
  session_id?: string
  worker_id?: string
}

/** Knows the frozen results of `normalizeWriter`, so that giving it one again costs nothing. */
const normalized = new WeakSet<Writer>()

/**
 * Those of them that came last, by what they say. An agent says who it is in every session that it opens: what is kept for an
 * identity is kept once then, and stays in the processor's caches.
 */
const latest = new Map<string, Writer>()
const LATEST_MAX = 1000
/** Longer ones, as JSON, are not remembered. */
const LATEST_LENGTH_MAX = 256

/**
 * A frozen copy with only the fields that are present. Where there is no `writerId` it is taken from `workerId`,
 * `stageId` or `sessionId`. Null for nobody: no identity, or none of its fields. An empty string is present.
 */
export function normalizeWriter(writer: Writer | undefined | null): Writer | null {
  if (writer === undefined || writer === null) return null
  if (typeof writer === 'object' && normalized.has(writer)) return writer
  checkOptions(writer, FIELDS, 'writer')
  const given: Writer = {
    writerId: checkId('writerId', writer.writerId),
    stageId: checkId('stageId', writer.stageId),
    sessionId: checkId('sessionId', writer.sessionId),
    workerId: checkId('workerId', writer.workerId),
  }
  const writerId = given.writerId ?? given.workerId ?? given.stageId ?? given.sessionId
  const result = present({ ...given, writerId })
  return result === null ? null : asBefore(result)
}

/** The same identity for all who say the same; its texts are its own, not cut out of longer ones. */
function asBefore(writer: Writer): Writer {
  const text = JSON.stringify(writerToJson(writer))
  const known = latest.get(text)
  if (known !== undefined) return known
  const own = writerFromJson(JSON.parse(text))!
  normalized.add(own)
  if (text.length > LATEST_LENGTH_MAX) return own
  if (latest.size === LATEST_MAX) latest.clear()
  latest.set(text, own)
  return own
}

/** The name to show for an identity: its writer id, else worker, stage or session id, else `unknown`. */
export function displayName(writer: Writer | null): string {
  return writer?.writerId ?? writer?.workerId ?? writer?.stageId ?? writer?.sessionId ?? 'unknown'
}

/** Whether both have a writer id and it is the same. */
export function sameWriterId(a: Writer | null, b: Writer | null): boolean {
  return a !== null && b !== null && a.writerId !== undefined && a.writerId === b.writerId
}

/** As it is stored, with the origin's names and in its order. */
export function writerToJson(writer: Writer | null): WriterJson {
  const json: WriterJson = {}
  if (writer === null) return json
  if (writer.writerId !== undefined) json.writer_id = writer.writerId
  if (writer.stageId !== undefined) json.stage_id = writer.stageId
  if (writer.sessionId !== undefined) json.session_id = writer.sessionId
  if (writer.workerId !== undefined) json.worker_id = writer.workerId
  return json
}

/**
 * Reads what `JSON.parse` gave for a stored identity, by the rules of the origin's reader: unknown fields are passed
 * over, a field may be null or absent, the four may also come as an array in their order. Null: no identity (also where
 * there was nothing to parse). Undefined: the origin would refuse it. No id is filled in from another.
 */
export function writerFromJson(json: unknown): Writer | null | undefined {
  if (json === undefined) return null
  if (typeof json !== 'object' || json === null) return undefined
  if (Array.isArray(json) && json.length > 4) return undefined
  const fields = Array.isArray(json)
    ? (json as unknown[])
    : [
        ownField(json, 'writer_id'),
        ownField(json, 'stage_id'),
        ownField(json, 'session_id'),
        ownField(json, 'worker_id'),
      ]
  const [writerId, stageId, sessionId, workerId] = fields
  if (!isStoredId(writerId) || !isStoredId(stageId) || !isStoredId(sessionId) || !isStoredId(workerId)) {
    return undefined
  }
  return present({
    writerId: writerId ?? undefined,
    stageId: stageId ?? undefined,
    sessionId: sessionId ?? undefined,
    workerId: workerId ?? undefined,
  })
}

function present(writer: Writer): Writer | null {
  const { writerId, stageId, sessionId, workerId } = writer
  if (writerId === undefined && stageId === undefined && sessionId === undefined && workerId === undefined) {
    return null
  }
  const result: { -readonly [Name in keyof Writer]: Writer[Name] } = {}
  if (writerId !== undefined) result.writerId = writerId
  if (stageId !== undefined) result.stageId = stageId
  if (sessionId !== undefined) result.sessionId = sessionId
  if (workerId !== undefined) result.workerId = workerId
  return Object.freeze(result)
}

function checkId(name: keyof Writer, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw new TypeError(`writer.${name} is a string, not ${typeName(value)}`)
  if (!isWellFormed(value)) throw new RangeError(`writer.${name} must not contain a lone surrogate`)
  const bytes = utf8Length(value)
  if (bytes > WRITER_ID_BYTES_MAX) {
    throw new RangeError(`writer.${name} is ${bytes} bytes long, at most ${WRITER_ID_BYTES_MAX} are allowed`)
  }
  return value
}

function ownField(json: object, name: keyof WriterJson): unknown {
  return Object.hasOwn(json, name) ? (json as Record<string, unknown>)[name] : undefined
}

function isStoredId(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || (typeof value === 'string' && isWellFormed(value))
}
