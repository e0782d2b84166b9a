/** The handover document of a namespace: what one agent leaves for the next, as JSON under a fixed key. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Handoff, Writer } from './api.js'
import { isPlainObject } from './check-options.js'
import { stateError } from './errors.js'
import { typeName } from './messages.js'
import { writerToJson } from './writer.js'

export const HANDOFF_KEY = '__handoff.json'

const TYPE = 'agent_state_handoff'
const VERSION = 1

type JsonObject = Record<string, unknown>

/** What `findIssues` vouches for. */
type Required = Pick<Handoff, 'session_id' | 'summary' | 'written_at'>

export interface HandoffSource {
  readonly sessionId: string
  readonly root: string
  readonly key: string
  readonly summary: Readonly<Record<string, unknown>>
  readonly writer: Writer | null
  /** Seconds since 1970. */
  readonly writtenAtS: number
}

/** The document's text. Throws `TypeError` for a summary that is not an object or has no JSON. */
export function buildHandoff({ sessionId, root, key, summary, writer, writtenAtS }: HandoffSource): string {
  const plainSummary = toJsonObject(summary)
  const document = {
    _type: TYPE,
    version: VERSION,
    session_id: sessionId,
    root,
    key,
    summary: plainSummary,
    handoff: typedHandoff(plainSummary),
    writer: writerToJson(writer),
    written_at: writtenAtS,
  }
  return JSON.stringify(document, null, 2)
}

/** Reads a document. Throws `SCHEMA_MISMATCH`, with every issue found, if it is none. */
export function parseHandoff(text: string, namespace?: string): Handoff {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw mismatch([{ message: 'is not JSON' }], namespace, cause)
  }
  const issues = findIssues(document)
  if (issues.length > 0) throw mismatch(issues, namespace)
  const { session_id, summary, handoff, writer, written_at } = document as Partial<Handoff> & Required
  return {
    session_id,
    version: VERSION,
    summary,
    handoff: handoff ?? null,
    writer: writer ?? null,
    written_at,
  }
}

/** What `summary` looks like once it was stored and read again. */
function toJsonObject(summary: unknown): JsonObject {
  const given: unknown = typeof summary === 'object' ? summary : undefined
  const text = JSON.stringify(given) as string | undefined
  const plain: unknown = text === undefined ? undefined : JSON.parse(text)
  if (isPlainObject(plain)) return plain
  throw new TypeError(`a handover summary is a JSON object, not ${typeName(summary)}`)
}

type Field = (value: unknown) => unknown

/** Given back by a field's reader where the value has another type than the field. */
const WRONG = Symbol('wrong type')

/**
 * The fields of the typed part, in its order. Source, target, task and reason must be there: without them nothing is
 * handed over to anybody. The lists are empty and the last three null where they are absent or null. Further fields of a
 * summary stay in the summary only.
 */
const FIELDS: readonly (readonly [string, Field])[] = [
  ['source_persona', text],
  ['target_persona_or_human', record('kind', 'label')],
  ['task', text],
  ['reason', text],
  ['evidence_refs', list(record('label', 'path'))],
  ['files_or_entities_touched', list(text)],
  ['open_questions', list(text)],
  ['blocked_on', list(text)],
  ['requested_capabilities', list(text)],
  ['allowed_side_effects', list(text)],
  ['budget_remaining', (value) => value ?? null],
  ['deadline_checkback', (value) => value ?? null],
  ['confidence', (value) => (typeof value === 'number' ? value : (value ?? null) === null ? null : WRONG)],
]

/** The typed part of a summary, or null if a field is missing or has another type. */
function typedHandoff(summary: JsonObject): JsonObject | null {
  return readFields(summary, FIELDS)
}

function readFields(source: JsonObject, fields: readonly (readonly [string, Field])[]): JsonObject | null {
  const result: JsonObject = {}
  for (const [name, read] of fields) {
    const value = read(source[name])
    if (value === WRONG) return null
    result[name] = value
  }
  return result
}

function text(value: unknown): unknown {
  return typeof value === 'string' ? value : WRONG
}

/** An object with these texts; its other fields are left out. */
function record(...names: readonly string[]): Field {
  const fields = names.map((name) => [name, text] as const)
  return (value) => (isPlainObject(value) ? (readFields(value, fields) ?? WRONG) : WRONG)
}

function list(read: Field): Field {
  return (value) => {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) return WRONG
    const items = value.map((item) => read(item))
    return items.includes(WRONG) ? WRONG : items
  }
}

function findIssues(document: unknown): StandardSchemaV1.Issue[] {
  if (!isPlainObject(document)) return [{ message: `must be an object, not ${typeName(document)}` }]
  const issues: StandardSchemaV1.Issue[] = []
  const expect = (name: string, holds: boolean, message: string): void => {
    if (!holds) issues.push({ message: `${name} ${message}`, path: [name] })
  }
  expect('_type', document['_type'] === TYPE, `must be '${TYPE}'`)
  expect('version', document['version'] === VERSION, `must be ${VERSION}`)
  expect('session_id', typeof document['session_id'] === 'string', 'must be a string')
  expect('summary', isPlainObject(document['summary']), 'must be an object')
  const handoff = document['handoff'] ?? null
  expect('handoff', handoff === null || isPlainObject(handoff), 'must be an object or null')
  expect('written_at', typeof document['written_at'] === 'number', 'must be a number')
  return issues
}

function mismatch(issues: readonly StandardSchemaV1.Issue[], namespace?: string, cause?: unknown): Error {
  const found = issues.map((issue) => issue.message).join('; ')
  return stateError('SCHEMA_MISMATCH', `agent_state: ${HANDOFF_KEY} is not a handover document: ${found}`, {
    namespace,
    key: HANDOFF_KEY,
    issues,
    cause,
  })
}
