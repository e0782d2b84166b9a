/**
 * ByteSlab owns the memory that small values are copied into, many into one piece: memory of its own costs a value of some
 * hundred bytes more than all the rest of its way. Whoever keeps a value keeps the piece it lies in, so what keeps many of
 * them for long copies what is left of a piece into another one at last (`ValueCache`).
 */

/** What lies in one piece at most. */
const PIECE_BYTES = 8 * 1024
/** Larger values have memory of their own at once. */
export const SHARING_BYTES_MAX = 1024

const { get: byteLength } = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'byteLength',
) as { readonly get: (this: Uint8Array) => number }

/** What it truly takes: a subclass may say something else, and so write over the values of others. */
export function byteLengthOf(bytes: Uint8Array): number {
  return byteLength.call(bytes)
}

export class ByteSlab {
  #piece = Buffer.alloc(0)
  #used = 0

  /** A copy, as plain bytes. */
  copy(bytes: Uint8Array): Uint8Array {
    const size = byteLengthOf(bytes)
    // What the constructor is given it copies; `slice` would leave it to a subclass what a copy is.
    if (size > SHARING_BYTES_MAX || size === 0) return new Uint8Array(bytes)
    const at = this.#take(size)
    this.#piece.set(bytes, at)
    return new Uint8Array(this.#piece.buffer, at, size)
  }

  /** A well-formed text in UTF-8, which takes so many bytes. */
  encode(text: string, size: number): Uint8Array {
    if (size > SHARING_BYTES_MAX || size === 0) {
      const own = Buffer.allocUnsafeSlow(size)
      own.write(text, 'utf8')
      return new Uint8Array(own.buffer)
    }
    const at = this.#take(size)
    this.#piece.write(text, at, size, 'utf8')
    return new Uint8Array(this.#piece.buffer, at, size)
  }

  /** Where so many bytes may lie that are nobody else's. */
  #take(size: number): number {
    if (size > this.#piece.byteLength - this.#used) {
      this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
      this.#used = 0
    }
    const at = this.#used
    this.#used = at + size
    return at
  }
}
