/**
 * ValueCache owns which values are kept in memory, and an account of what they truly take (I9). Small values lie many in one
 * piece of memory, and while one of them is there, all of the piece is; so it is pieces that are counted and let go of, the
 * oldest first. What was used meanwhile is copied out of a piece that goes. Where the dead take more than a fixed bound and
 * half of what the living take, all that lives is copied out of the oldest piece: no write pays for more than a few others.
 */
import { ByteSlab, SHARING_BYTES_MAX } from '../byte-slab.js'
import { BoundedCache, Cacheable } from './bounded-cache.js'

/**
 * Whose value it is, and where its bytes lie: of many values, an array for each would take more than the bytes do. All but
 * `isValueUsed` is changed by the cache only.
 */
export interface ValueHolder {
  /** Set by whoever uses the value. */
  isValueUsed: boolean
  /** Null: the value is not in memory. */
  valuePiece: ValuePiece | null
  /** The first byte in the piece's buffer. */
  valueStart: number
  valueSize: number
  /** Among the piece's holders. */
  valueIndex: number
}

/** Undefined: it is not in memory. Shared: not to be changed. */
export function valueOf({ valuePiece, valueStart, valueSize }: ValueHolder): Uint8Array | undefined {
  return valuePiece === null ? undefined : new Uint8Array(valuePiece.buffer, valueStart, valueSize)
}

/** Values that lie in one piece of memory. */
export class ValuePiece extends Cacheable {
  readonly buffer: ArrayBufferLike
  /** False: there is one value, which has memory of its own. */
  readonly isShared: boolean
  /** Null: the value is dead. */
  readonly holders: (ValueHolder | null)[] = []
  liveCount = 0

  constructor(buffer: ArrayBufferLike, isShared: boolean) {
    super()
    this.buffer = buffer
    this.isShared = isShared
  }
}

const DEAD_BYTES_MAX = 4 * 1024 * 1024
/** Tiny values of one piece of memory are counted as if it were several: all of a piece is copied at once. */
const HOLDERS_MAX = 256
const KEPT_PER_LIVE = 1.5
/** What the engine takes, roughly: for a piece, and for a value with memory of its own. */
const PIECE_BYTES = 400
const OWN_VALUE_BYTES = 500
/** What a piece knows of a value, also when it is dead. */
const HOLDER_BYTES = 16
/** What a living value takes besides its bytes: at most its share of a piece that is full of tiny ones. */
const SHARING_VALUE_BYTES = 64

export class ValueCache {
  readonly #deadBytesMax: number
  readonly #pieces: BoundedCache<ValuePiece>
  readonly #byBuffer = new Map<ArrayBufferLike, ValuePiece>()
  /** The one that was last added to. */
  #last: ValuePiece | null = null
  /** Where values are copied to. */
  readonly #slab = new ByteSlab()
  #liveBytes = 0

  constructor(bytesMax: number, deadBytesMax = DEAD_BYTES_MAX) {
    this.#deadBytesMax = deadBytesMax
    this.#pieces = new BoundedCache(bytesMax, (piece) => this.#release(piece))
  }

  get bytes(): number {
    return this.#pieces.bytes
  }

  /** In the place of the value that the holder has. */
  set(holder: ValueHolder, value: Uint8Array): void {
    const { valuePiece, valueIndex, valueSize } = holder
    this.#add(holder, value)
    if (valuePiece !== null) this.#markDead(valuePiece, valueIndex, valueSize)
  }

  drop(holder: ValueHolder): void {
    const { valuePiece, valueIndex, valueSize } = holder
    if (valuePiece === null) return
    holder.valuePiece = null
    this.#markDead(valuePiece, valueIndex, valueSize)
  }

  /** Lets go of what is too much. */
  trim(): void {
    this.#pieces.trim()
  }

  #add(holder: ValueHolder, value: Uint8Array): void {
    const isSmall = value.byteLength <= SHARING_BYTES_MAX
    const kept = isSmall && !isShared(value) ? this.#slab.copy(value) : value
    const piece = this.#pieceFor(kept)
    const size = kept.byteLength
    holder.isValueUsed = false
    holder.valuePiece = piece
    holder.valueStart = kept.byteOffset
    holder.valueSize = size
    holder.valueIndex = piece.holders.push(holder) - 1
    piece.liveCount++
    this.#liveBytes += liveBytes(piece, size)
    this.#pieces.set(piece, piece.bytes + HOLDER_BYTES)
  }

  #pieceFor(value: Uint8Array): ValuePiece {
    const { buffer } = value
    if (!isShared(value)) {
      const own = new ValuePiece(buffer, false)
      this.#pieces.set(own, buffer.byteLength + OWN_VALUE_BYTES)
      return own
    }
    if (this.#last?.buffer !== buffer) this.#last = this.#byBuffer.get(buffer) ?? this.#begin(buffer)
    if (this.#last.holders.length === HOLDERS_MAX) this.#last = this.#begin(buffer)
    return this.#last
  }

  #begin(buffer: ArrayBufferLike): ValuePiece {
    const piece = new ValuePiece(buffer, true)
    this.#byBuffer.set(buffer, piece)
    this.#pieces.set(piece, buffer.byteLength + PIECE_BYTES)
    return piece
  }

  /** False: most of it is in use, and gets another chance; copying it would free nothing. */
  #release(piece: ValuePiece): boolean {
    const used = piece.holders.filter((holder) => holder?.isValueUsed === true) as ValueHolder[]
    if (used.length * 2 > piece.holders.length) {
      for (const holder of used) holder.isValueUsed = false
      return false
    }
    this.#evacuate(piece, (holder) => holder.isValueUsed)
    return true
  }

  #markDead(piece: ValuePiece, index: number, size: number): void {
    piece.holders[index] = null
    piece.liveCount--
    this.#liveBytes -= liveBytes(piece, size)
    if (piece.liveCount === 0) this.#discard(piece)
    if (this.#pieces.bytes > this.#liveBytes * KEPT_PER_LIVE + this.#deadBytesMax) this.#compact()
  }

  #compact(): void {
    const piece = this.#pieces.oldest
    if (piece === null) return
    this.#evacuate(piece, () => true)
    this.#pieces.delete(piece)
  }

  #discard(piece: ValuePiece): void {
    this.#retire(piece)
    this.#pieces.delete(piece)
  }

  /** Those of its values that are to be kept go to another piece. */
  #evacuate(piece: ValuePiece, isKept: (holder: ValueHolder) => boolean): void {
    this.#retire(piece)
    for (const holder of piece.holders) {
      if (holder === null) continue
      const value = valueOf(holder)!
      holder.valuePiece = null
      this.#liveBytes -= liveBytes(piece, value.length)
      if (isKept(holder)) this.#add(holder, piece.isShared ? this.#slab.copy(value) : value)
    }
  }

  /** Nothing is added to it any more. */
  #retire(piece: ValuePiece): void {
    if (this.#last === piece) this.#last = null
    if (this.#byBuffer.get(piece.buffer) === piece) this.#byBuffer.delete(piece.buffer)
  }
}

/** It lies in memory with others. */
function isShared(value: Uint8Array): boolean {
  return value.byteLength !== value.buffer.byteLength
}

/** What a living value cannot do without. */
function liveBytes({ isShared: sharing }: ValuePiece, size: number): number {
  return size + (sharing ? SHARING_VALUE_BYTES : OWN_VALUE_BYTES)
}
