/**
 * SharedValues owns the knowledge of which cached values lie in memory that they share with others. While a value is
 * there, all of the piece is: the few that stay could keep many times their size. So of the pieces only so much is kept,
 * and what is still cached of the oldest one is then given memory of its own (I9). Most values of keys that are written
 * often are gone by then.
 */
import type { HeldValue } from './namespace-state.js'

const KEPT_BYTES_MAX = 4 * 1024 * 1024
/** What knowing of a value takes. */
const KNOWN_BYTES = 48

interface Piece {
  readonly buffer: ArrayBufferLike
  readonly values: HeldValue[]
}

export class SharedValues {
  readonly #keptBytesMax: number
  /** Oldest first. */
  readonly #pieces = new Map<ArrayBufferLike, Piece>()
  #last: Piece | null = null
  #keptBytes = 0

  constructor(keptBytesMax = KEPT_BYTES_MAX) {
    this.#keptBytesMax = keptBytesMax
  }

  /** To be called when the value was put into the cache. */
  add(held: HeldValue): void {
    const { value } = held
    if (value === undefined || typeof value === 'string') return
    const { buffer } = value
    if (value.byteLength === buffer.byteLength) return
    if (this.#last?.buffer !== buffer) this.#last = this.#pieces.get(buffer) ?? this.#begin(buffer)
    this.#last.values.push(held)
    this.#keptBytes += KNOWN_BYTES
    if (this.#keptBytes > this.#keptBytesMax) this.#release()
  }

  #begin(buffer: ArrayBufferLike): Piece {
    const piece = { buffer, values: [] }
    this.#pieces.set(buffer, piece)
    this.#keptBytes += buffer.byteLength
    return piece
  }

  #release(): void {
    for (const { buffer, values } of this.#pieces.values()) {
      for (const held of values) {
        const { value } = held
        if (typeof value === 'object' && value.buffer === buffer) held.value = new Uint8Array(value)
      }
      this.#pieces.delete(buffer)
      this.#keptBytes -= buffer.byteLength + values.length * KNOWN_BYTES
      if (this.#keptBytes <= this.#keptBytesMax) break
    }
    if (this.#last !== null && !this.#pieces.has(this.#last.buffer)) this.#last = null
  }
}
