/**
 * Errors on their way between threads. Structured cloning would keep only the message, so an error crosses as plain data
 * and is made anew: an `AgentStateError` with its code, fields and cause, a `TypeError` or `RangeError` as such, anything
 * else as an `Error` with the name, message and stack that it had.
 */
import { AgentStateError, stateError, type Code } from '../errors.js'

export interface EncodedError {
  readonly kind: 'state' | 'type' | 'range' | 'error'
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: EncodedError | undefined
}

/** Causes of causes: what is deeper is cut off. */
const DEPTH_MAX = 8

/** Whoever asks for something wrong and long gets only the beginning back. */
const TEXT_LENGTH_MAX = 10_000

const NOT_FIELDS: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause', 'retryable'])

export function encodeError(error: unknown, depth = 0): EncodedError {
  if (!(error instanceof Error)) {
    return {
      kind: 'error',
      name: 'Error',
      message: cut(String(error)),
      stack: undefined,
      fields: {},
      cause: undefined,
    }
  }
  const { name, message, stack, cause } = error
  const fields: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(error)) {
    if (!NOT_FIELDS.has(field)) fields[field] = plain(value, depth + 1)
  }
  return {
    kind: kindOf(error),
    name,
    message: cut(message),
    stack: stack === undefined ? undefined : cut(stack),
    fields,
    cause: cause === undefined || depth >= DEPTH_MAX ? undefined : encodeError(cause, depth + 1),
  }
}

export function decodeError(encoded: EncodedError): Error {
  const cause = encoded.cause === undefined ? undefined : decodeError(encoded.cause)
  const error = restore(encoded, cause)
  if (encoded.stack !== undefined) {
    Object.defineProperty(error, 'stack', { value: encoded.stack, configurable: true, writable: true })
  }
  return error
}

function kindOf(error: Error): EncodedError['kind'] {
  if (AgentStateError.is(error)) return 'state'
  if (error instanceof TypeError) return 'type'
  return error instanceof RangeError ? 'range' : 'error'
}

function restore({ kind, name, message, fields }: EncodedError, cause: Error | undefined): Error {
  if (kind === 'state') {
    const { code, ...details } = fields as { code: Code }
    return stateError(code, message, { ...details, cause })
  }
  const options = cause === undefined ? undefined : { cause }
  const error =
    kind === 'type'
      ? new TypeError(message, options)
      : kind === 'range'
        ? new RangeError(message, options)
        : new Error(message, options)
  if (error.name !== name)
    Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  return Object.assign(error, fields)
}

/** A copy that can be cloned for sure. */
function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(value)
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'function' || typeof value === 'symbol' ? String(value) : value
  }
  if (depth > DEPTH_MAX) return '…'
  if (value instanceof Error) return cut(value.message)
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1))
  const copy: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(value)) {
    Object.defineProperty(copy, name, {
      value: plain(item, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return copy
}

function cut(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}…`
}
