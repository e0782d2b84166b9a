/** The operations of a batch, checked and encoded. */
import type { Operation } from './api.js'
import { checkOptions } from './check-options.js'
import type { RequestedOperation } from './requests.js'
import { stateError } from './errors.js'
import { checkKey, normalizeKey } from './key.js'
import type { Limits } from './limits.js'
import { typeName } from './messages.js'
import { checkRevisionCondition } from './options.js'
import type { TakingHost } from './store-host.js'
import { checkSize, takeValue } from './value.js'

const NAMES: ReadonlySet<string> = new Set(['write', 'value', 'delete', 'ifRevision', 'seenRevision'])

export interface RequestedBatch {
  readonly operations: readonly RequestedOperation[]
  readonly bytes: number
}

/** `seen` tells what the session remembers of a key. */
export function toOperations(
  operations: readonly Operation[],
  { limits, slab }: TakingHost,
  seen: (key: string) => number | null | undefined,
): RequestedBatch {
  if (!Array.isArray(operations)) {
    throw new TypeError(`operations must be an array, not ${typeName(operations)}`)
  }
  checkCount(operations.length, limits)
  const requested: RequestedOperation[] = []
  const keys = new Set<string>()
  let bytes = 0
  for (const operation of operations as readonly Operation[]) {
    const taken = toOperation(operation, { limits, slab }, seen)
    if (keys.has(taken.key)) throw twice(taken.key)
    keys.add(taken.key)
    if (taken.kind === 'write') bytes += taken.size
    requested.push(taken)
  }
  checkLimit('queueBytesMax', limits.queueBytesMax, bytes)
  return { operations: requested, bytes }
}

/** Throws for more operations than a batch may have. */
export function checkCount(count: number, { queueOperationsMax }: Limits): void {
  checkLimit('queueOperationsMax', queueOperationsMax, count)
}

/** Checks what is encoded already, by these limits. `single`: one operation that was asked for by itself. */
export function checkOperations(
  operations: readonly RequestedOperation[],
  bytes: number,
  single: boolean,
  limits: Limits,
): void {
  if (!single) checkCount(operations.length, limits)
  const keys = operations.length === 1 ? null : new Set<string>()
  for (const operation of operations) {
    const { key } = operation
    checkKey(key, limits.keyBytesMax)
    if (operation.kind === 'write') checkSize(operation.size, key, limits.valueBytesMax)
    if (keys?.has(key)) throw twice(key)
    keys?.add(key)
  }
  if (!single) checkLimit('queueBytesMax', limits.queueBytesMax, bytes)
}

function toOperation(
  operation: Operation,
  { limits, slab }: TakingHost,
  seen: (key: string) => number | null | undefined,
): RequestedOperation {
  if (operation === undefined) throw new TypeError('an operation must be an object, not undefined')
  checkOptions(operation, NAMES, 'operation')
  const isWrite = 'write' in operation && operation.write !== undefined
  const isDelete = 'delete' in operation && operation.delete !== undefined
  if (isWrite === isDelete) throw new TypeError('an operation has either write and value, or delete')
  if (isDelete && 'value' in operation && operation.value !== undefined) {
    throw new TypeError('an operation that deletes has no value')
  }
  const key = normalizeKey(
    isWrite ? operation.write : (operation as { delete: string }).delete,
    limits.keyBytesMax,
  )
  const said = checkRevisionCondition(operation.seenRevision, 'seenRevision')
  const conditions = {
    ifRevision: checkRevisionCondition(operation.ifRevision, 'ifRevision'),
    seen: said === undefined ? seen(key) : said,
  }
  if (!isWrite) return { kind: 'delete', key, ...conditions }
  return { kind: 'write', key, ...takeValue(operation.value, key, limits.valueBytesMax, slab), ...conditions }
}

function checkLimit(limit: 'queueOperationsMax' | 'queueBytesMax', max: number, actual: number): void {
  if (actual <= max) return
  const unit = limit === 'queueOperationsMax' ? 'operations' : 'bytes'
  throw stateError('LIMIT_EXCEEDED', `a batch may have ${max} ${unit}, not ${actual}`, { limit, max, actual })
}

function twice(key: string): TypeError {
  return new TypeError(`key '${key}' occurs twice in one batch`)
}
