/**
 * SharedValues owns the knowledge of which cached values lie in memory that they share with others. While a value is
 * there, all of the piece is: the few that stay could keep many times their size. So of the pieces only so much is kept,
 * and what is still cached of the oldest one is then given memory of its own (I9). Most values of keys that are written
 * often are gone by then.
 */
import type { KeyState } from './namespace-state.js'

const KEPT_BYTES_MAX = 4 * 1024 * 1024
/** What remembering a key takes. */
const KEY_BYTES = 16

interface Piece {
  readonly buffer: ArrayBufferLike
  readonly keys: KeyState[]
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

  /** To be called when the key's value was put into the cache. */
  add(key: KeyState): void {
    const { value } = key
    if (value === undefined || typeof value === 'string') return
    const { buffer } = value
    if (value.byteLength === buffer.byteLength) return
    if (this.#last?.buffer !== buffer) this.#last = this.#pieces.get(buffer) ?? this.#begin(buffer)
    this.#last.keys.push(key)
    this.#keptBytes += KEY_BYTES
    if (this.#keptBytes > this.#keptBytesMax) this.#release()
  }

  #begin(buffer: ArrayBufferLike): Piece {
    const piece = { buffer, keys: [] }
    this.#pieces.set(buffer, piece)
    this.#keptBytes += buffer.byteLength
    return piece
  }

  #release(): void {
    for (const { buffer, keys } of this.#pieces.values()) {
      for (const key of keys) {
        const { value } = key
        if (typeof value === 'object' && value.buffer === buffer) key.value = new Uint8Array(value)
      }
      this.#pieces.delete(buffer)
      this.#keptBytes -= buffer.byteLength + keys.length * KEY_BYTES
      if (this.#keptBytes <= this.#keptBytesMax) break
    }
    if (this.#last !== null && !this.#pieces.has(this.#last.buffer)) this.#last = null
  }
}
