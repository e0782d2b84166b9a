/**
 * ByteSlab owns the memory that small values are copied into, many into one piece: memory of its own costs a value of some
 * hundred bytes more than all the rest of its way. Whoever keeps a value keeps the piece it lies in, so what keeps many of
 * them for long gives each memory of its own at last (`SharedValues`).
 */

/** What lies in one piece at most. */
const PIECE_BYTES = 8 * 1024
/** Larger values have memory of their own at once. */
const SHARING_BYTES_MAX = 1024

export class ByteSlab {
  #piece: ArrayBuffer = new ArrayBuffer(0)
  #bytes = new Uint8Array(this.#piece)
  #used = 0

  /** A copy, as plain bytes. */
  copy(bytes: Uint8Array): Uint8Array {
    const size = bytes.byteLength
    // What the constructor is given it copies; `slice` would leave it to a subclass what a copy is.
    if (size > SHARING_BYTES_MAX || size === 0) return new Uint8Array(bytes)
    if (size > this.#piece.byteLength - this.#used) {
      this.#piece = new ArrayBuffer(PIECE_BYTES)
      this.#bytes = new Uint8Array(this.#piece)
      this.#used = 0
    }
    const at = this.#used
    this.#bytes.set(bytes, at)
    this.#used = at + size
    return new Uint8Array(this.#piece, at, size)
  }
}
