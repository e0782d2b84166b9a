/**
 * The operations of a change as they come from a connection: checked as if nobody had checked them before. What goes beyond
 * the store's limits is refused as a call in the store's own thread is; only what no limits allow is malformed.
 */
import type { ByteSlab } from '../byte-slab.js'
import { appended } from '../appended.js'
import type { RequestedOperation } from '../requests.js'
import { LARGEST_LIMITS } from '../limits.js'
import { checkCount, checkOperations } from '../operations.js'
import type { TakingHost } from '../store-host.js'
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
  const size = reader.integer(0, LARGEST_LIMITS.valueBytesMax)
  const ifRevision = reader.condition()
  const seen = reader.condition()
  const value = takeOver(reader, size, slab)
  const operations = [{ kind: 'write', key, value, size, ifRevision, seen } as const]
  const problem = findProblem(() => checkOperations(operations, size, true, limits))
  return { operations, bytes: size, problem }
}

export function readOperations(
  reader: BatchReader,
  count: number,
  single: boolean,
  { limits, slab }: TakingHost,
): ReadOperations {
  const tooMany = single ? null : findProblem(() => checkCount(count, limits))
  let operations: RequestedOperation[] | null = null
  let bytes = 0
  for (let index = 0; index < count; index++) {
    const isWrite = reader.flag()
    const key = reader.text()
    const size = reader.integer(0, isWrite ? LARGEST_LIMITS.valueBytesMax : 0)
    const ifRevision = reader.condition()
    const seen = reader.condition()
    bytes += size
    // Of too many none is kept.
    if (tooMany !== null) {
      if (isWrite) reader.value(size)
      continue
    }
    operations = appended<RequestedOperation>(
      operations,
      isWrite
        ? { kind: 'write', key, value: takeOver(reader, size, slab), size, ifRevision, seen }
        : { kind: 'delete', key, ifRevision, seen },
    )
  }
  const read = operations ?? []
  const problem = tooMany ?? findProblem(() => checkOperations(read, bytes, single, limits))
  return { operations: read, bytes, problem }
}

/** Small values lie in one buffer with all others of a message; of a large one, one of them must not keep all alive. */
function takeOver(reader: BatchReader, size: number, slab: ByteSlab): Uint8Array {
  const value = reader.value(size)
  return size < LARGE_BYTES && value.buffer.byteLength > KEPT_MESSAGE_BYTES_MAX ? slab.copy(value) : value
}

function findProblem(check: () => void): ReadOperations['problem'] {
  try {
    check()
    return null
  } catch (error) {
    return { error }
  }
}
