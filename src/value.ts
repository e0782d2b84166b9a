/** Values on their way in and out: nobody outside may change what is inside, and the other way round. */
import { types } from 'node:util'
import { byteLengthOf, type ByteSlab } from './byte-slab.js'
import { stateError } from './errors.js'
import { typeName } from './messages.js'
import { isWellFormed, utf8Length } from './utf8.js'

export interface TakenValue {
  readonly value: Uint8Array
  /** In bytes. */
  readonly size: number
}

/**
 * Checks a value and takes it over, as bytes in the slab. A text is not kept as it is: what was cut out of a longer one may
 * keep all of that in memory.
 */
export function takeValue(value: unknown, key: string, bytesMax: number, slab: ByteSlab): TakenValue {
  if (typeof value === 'string') {
    const size = utf8Length(value)
    checkSize(size, key, bytesMax)
    if (isWellFormed(value)) return { value: slab.encode(value, size), size }
    throw stateError(
      'INVALID_VALUE',
      `the text for key '${key}' has a lone surrogate, which is no character`,
      {
        key,
      },
    )
  }
  if (types.isUint8Array(value)) {
    checkSize(byteLengthOf(value), key, bytesMax)
    const copy = slab.copy(value)
    return { value: copy, size: copy.byteLength }
  }
  throw new TypeError(`a value must be a string or a Uint8Array, not ${typeName(value)}`)
}

/** Plain bytes in a buffer of their own. `slice` would leave it to a subclass what a copy is. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

export function checkSize(size: number, key: string, max: number): void {
  if (size <= max) return
  throw stateError('LIMIT_EXCEEDED', `the value for key '${key}' has ${size} bytes, more than ${max}`, {
    key,
    limit: 'valueBytesMax',
    max,
    actual: size,
  })
}
