import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Conflict } from './api.js'
import type { Limits } from './limits.js'

/** Every error code with the fields that its errors carry. Codes are stable, messages are not. */
export interface ErrorFields {
  CONFLICT: { readonly conflict: Conflict; readonly index?: number }
  REVISION_MISMATCH: { readonly actualRevision: number | null; readonly index?: number }
  /** `a` exists and `a/b` was asked for, or the other way round. */
  KEY_BLOCKED: { readonly by: string }
  /** The sync failed: the change may or may not survive. Look at the key after reopening. */
  OUTCOME_UNKNOWN: { readonly revision: number | null }
  /** Durable, but the files do not show it yet. */
  TREE_PENDING: { readonly revision: number }
  /** Too many keys whose files can't be written. */
  TREE_STUCK: {}
  NO_SPACE: {}
  STORE_OWNED: { readonly pid: number | null; readonly since: number | null; readonly sameProcess: boolean }
  STORE_CLOSED: {}
  STORE_FAILED: {}
  DISCONNECTED: {}
  /** No process has the root open, or it has no socket (yet). */
  NO_OWNER: { readonly path: string }
  /** The owner of the root runs another version of the library, or of Node.js. */
  PROTOCOL_MISMATCH: { readonly found: string; readonly supported: string }
  /** Closed, and everything acknowledged is durable, but not all of it is in the tree. */
  CLOSE_INCOMPLETE: {}
  LIMIT_EXCEEDED: { readonly limit: keyof Limits; readonly max: number; readonly actual: number }
  WATCH_OVERFLOW: { readonly lastRevision: number }
  REVISION_COMPACTED: { readonly oldestRevision: number }
  SCHEMA_MISMATCH: { readonly issues: readonly StandardSchemaV1.Issue[] }
  NOT_UTF8: {}
  INVALID_KEY: {}
  INVALID_NAMESPACE: {}
  /** A string with a lone surrogate can't be stored as UTF-8. */
  INVALID_VALUE: {}
  NAMESPACE_NOT_FOUND: {}
  NOT_ALLOWED: {}
  METADATA_CORRUPT: { readonly path: string }
  CONTENT_CORRUPT: { readonly path: string }
  JOURNAL_CORRUPT: { readonly path: string; readonly offset: number }
  FORMAT_TOO_NEW: { readonly found: number; readonly supported: number }
  /** The root can't be used: it is a file, not writable, or its path is too long. */
  ROOT_UNUSABLE: { readonly path: string }
  /** The file system answered a read with an error. */
  READ_FAILED: { readonly path: string }
}

export type Code = keyof ErrorFields

/** What is known of the change that was asked for. */
export type ErrorOutcome = 'unchanged' | 'unknown' | 'committed'

interface Base<C extends Code> extends Error {
  readonly code: C
  readonly outcome: ErrorOutcome
  /** The same may succeed later; of a condition that was not met, with the revision that is there then. */
  readonly retryable: boolean
  readonly namespace?: string
  readonly key?: string
}

/** An operating failure; narrows by `code`. Misuse throws `TypeError` or `RangeError` instead. */
export type AgentStateError<C extends Code = Code> = { [K in C]: Base<K> & ErrorFields[K] }[C]

const BRAND = Symbol.for('agent-state.error')

const OUTCOMES: Partial<Record<Code, ErrorOutcome>> = {
  OUTCOME_UNKNOWN: 'unknown',
  TREE_PENDING: 'committed',
  CLOSE_INCOMPLETE: 'committed',
}

const RETRYABLE: ReadonlySet<Code> = new Set<Code>([
  'TREE_STUCK',
  'NO_SPACE',
  'STORE_OWNED',
  'NO_OWNER',
  'REVISION_MISMATCH',
  'READ_FAILED',
])

export type ErrorDetails<C extends Code> = ErrorFields[C] & {
  readonly namespace?: string | undefined
  readonly key?: string | undefined
  readonly cause?: unknown
  readonly outcome?: ErrorOutcome
}

class StateError extends Error {
  override readonly name = 'AgentStateError'
  readonly code: Code
  readonly outcome: ErrorOutcome
  readonly retryable: boolean

  constructor(code: Code, message: string, details: Readonly<Record<string, unknown>>) {
    const { cause, outcome, ...fields } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.outcome = (outcome as ErrorOutcome | undefined) ?? OUTCOMES[code] ?? 'unchanged'
    this.retryable = RETRYABLE.has(code)
    Object.assign(this, fields)
    Object.defineProperty(this, BRAND, { value: true })
  }
}

function isStateError(error: unknown): error is AgentStateError {
  return typeof error === 'object' && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true
}

/** Recognises errors of this library, also those of another copy of the package. */
export const AgentStateError = {
  is<C extends Code = Code>(error: unknown, code?: C): error is AgentStateError<C> {
    return isStateError(error) && (code === undefined || error.code === code)
  },
  [Symbol.hasInstance](error: unknown): error is AgentStateError {
    return isStateError(error)
  },
}

/** Makes an error of the given code. The message says what happened, to what, and what to do. */
export function stateError<C extends Code>(
  code: C,
  message: string,
  details: ErrorDetails<C>,
): AgentStateError<C> {
  return new StateError(code, message, details) as unknown as AgentStateError<C>
}
