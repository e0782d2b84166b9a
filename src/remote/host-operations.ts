/** The operations of a change as they come from a connection: checked as if nobody had checked them before. */
import type { ByteSlab } from '../byte-slab.js'
import { appended } from '../coordinator/appended.js'
import type { RequestedOperation } from '../coordinator/request.js'
import { stateError } from '../errors.js'
import { normalizeKey } from '../key.js'
import type { Limits } from '../limits.js'
import { quoteText } from '../messages.js'
import type { TakingHost } from '../store-host.js'
import { trimWhiteSpace } from '../utf8.js'
import type { BatchReader } from './batch-reader.js'
import { LARGE_BYTES } from './wire.js'

/** The values of a message with no more bytes than this stay where they came: each of them keeps all of that. */
const KEPT_MESSAGE_BYTES_MAX = 16 * 1024

export interface ReadOperations {
  readonly operations: readonly RequestedOperation[]
  readonly bytes: number
  /** Why the change must be refused, though its shape is right. */
  readonly problem: { readonly error: unknown } | null
}

/** One write that was asked for by itself. */
export function readWrite(reader: BatchReader, { limits, slab }: TakingHost): ReadOperations {
  const key = reader.text()
  const size = reader.integer(0, limits.valueBytesMax)
  const ifRevision = reader.condition()
  const seen = reader.condition()
  const operation = {
    kind: 'write',
    key,
    value: takeOver(reader, size, slab),
    size,
    ifRevision,
    seen,
  } as const
  let problem = problemOfSize(size, limits)
  try {
    checkKey(key, limits.keyBytesMax)
  } catch (error) {
    problem = { error }
  }
  return { operations: [operation], bytes: size, problem }
}

export function readOperations(
  reader: BatchReader,
  count: number,
  { limits, slab }: TakingHost,
): ReadOperations {
  let operations: RequestedOperation[] | null = null
  const keys = count === 1 ? null : new Set<string>()
  let bytes = 0
  let problem: { readonly error: unknown } | null = null
  for (let index = 0; index < count; index++) {
    const isWrite = reader.flag()
    const key = reader.text()
    const size = reader.integer(0, limits.valueBytesMax)
    const ifRevision = reader.condition()
    const seen = reader.condition()
    try {
      checkKey(key, limits.keyBytesMax)
      if (keys?.has(key)) throw new TypeError(`key '${key}' occurs twice in one batch`)
      keys?.add(key)
    } catch (error) {
      problem ??= { error }
    }
    bytes += size
    const operation: RequestedOperation = isWrite
      ? { kind: 'write', key, value: takeOver(reader, size, slab), size, ifRevision, seen }
      : { kind: 'delete', key, ifRevision, seen }
    operations = appended(operations, operation)
  }
  return { operations: operations ?? [], bytes, problem: problem ?? problemOfSize(bytes, limits) }
}

/** Only a normal form is a key here: what callers write was brought into it on their side. */
export function checkKey(key: string, keyBytesMax: number): void {
  if (key.length <= keyBytesMax) {
    // A name that begins or ends with white space would be trimmed.
    const isTrimmed = trimWhiteSpace(key).length === key.length
    if (normalizeKey(isTrimmed ? key : `./${key}/.`, keyBytesMax) === key) return
  }
  throw stateError('INVALID_KEY', `agent_state: key ${quoteText(key)} is not in normal form`, { key })
}

/** Small values lie in one buffer with all others of a message; of a large one, one of them must not keep all alive. */
function takeOver(reader: BatchReader, size: number, slab: ByteSlab): Uint8Array {
  const value = reader.value(size)
  return size < LARGE_BYTES && value.buffer.byteLength > KEPT_MESSAGE_BYTES_MAX ? slab.copy(value) : value
}

function problemOfSize(bytes: number, { queueBytesMax: max }: Limits): ReadOperations['problem'] {
  if (bytes <= max) return null
  const fields = { limit: 'queueBytesMax', max, actual: bytes } as const
  return { error: stateError('LIMIT_EXCEEDED', `a batch may have ${max} bytes, not ${bytes}`, fields) }
}
