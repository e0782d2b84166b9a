/**
 * ValueCache owns which values are kept in memory, and an account of what they truly take (I9). Small values lie many in one
 * piece of memory, and while one of them is there, all of the piece is; so it is pieces that are counted and let go of, the
 * oldest first. What was used meanwhile is copied out of a piece that goes. Where the dead take more than a fixed bound and
 * half of what the living take, all that lives is copied out of the oldest piece: no write pays for more than a few others.
 */
import { ByteSlab, SHARING_BYTES_MAX } from '../byte-slab.js'
import { BoundedCache, Cacheable } from './bounded-cache.js'

/** Whose value it is. All but `isValueUsed` is changed by the cache only. */
export interface ValueHolder {
  value: Uint8Array | undefined
  /** Set by whoever uses the value. */
  isValueUsed: boolean
  /** Where the cache finds it. */
  valuePiece: ValuePiece | null
  valueIndex: number
}

/** Values that lie in one piece of memory. */
export class ValuePiece extends Cacheable {
  /** Null: there is one value, which has memory of its own. */
  readonly buffer: ArrayBufferLike | null
  /** Null: the value is dead. */
  readonly holders: (ValueHolder | null)[] = []
  liveCount = 0

  constructor(buffer: ArrayBufferLike | null) {
    super()
    this.buffer = buffer
  }
}

const DEAD_BYTES_MAX = 4 * 1024 * 1024
/** Tiny values of one piece of memory are counted as if it were several: all of a piece is copied at once. */
const HOLDERS_MAX = 256
const KEPT_PER_LIVE = 1.5
/** What the engine takes, roughly: for a piece, for a value that lies in one, and for one with memory of its own. */
const PIECE_BYTES = 400
const SHARING_VALUE_BYTES = 96
const OWN_VALUE_BYTES = 500
/** What remains of a dead value until its piece goes. */
const HOLDER_BYTES = 16

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
    const { value: before, valuePiece, valueIndex } = holder
    this.#add(holder, value)
    if (valuePiece !== null) this.#markDead(valuePiece, valueIndex, before!)
  }

  drop(holder: ValueHolder): void {
    const { value, valuePiece, valueIndex } = holder
    if (valuePiece === null) return
    holder.value = undefined
    holder.valuePiece = null
    this.#markDead(valuePiece, valueIndex, value!)
  }

  /** Lets go of what is too much. */
  trim(): void {
    this.#pieces.trim()
  }

  #add(holder: ValueHolder, value: Uint8Array): void {
    const isSmall = value.byteLength <= SHARING_BYTES_MAX
    const kept = isSmall && !isShared(value) ? this.#slab.copy(value) : value
    const piece = this.#pieceFor(kept)
    holder.value = kept
    holder.isValueUsed = false
    holder.valuePiece = piece
    holder.valueIndex = piece.holders.push(holder) - 1
    piece.liveCount++
    this.#liveBytes += liveBytes(kept)
    this.#pieces.set(piece, piece.bytes + HOLDER_BYTES + bytesBeside(piece, kept))
  }

  #pieceFor(value: Uint8Array): ValuePiece {
    if (!isShared(value)) return new ValuePiece(null)
    const { buffer } = value
    if (this.#last?.buffer !== buffer) this.#last = this.#byBuffer.get(buffer) ?? this.#begin(buffer)
    if (this.#last.holders.length === HOLDERS_MAX) this.#last = this.#begin(buffer)
    return this.#last
  }

  #begin(buffer: ArrayBufferLike): ValuePiece {
    const piece = new ValuePiece(buffer)
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

  #markDead(piece: ValuePiece, index: number, value: Uint8Array): void {
    piece.holders[index] = null
    piece.liveCount--
    this.#liveBytes -= liveBytes(value)
    if (piece.liveCount === 0) this.#discard(piece)
    else this.#pieces.set(piece, piece.bytes - bytesBeside(piece, value))
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
      const value = holder.value!
      holder.value = undefined
      holder.valuePiece = null
      this.#liveBytes -= liveBytes(value)
      if (isKept(holder)) this.#add(holder, isShared(value) ? this.#slab.copy(value) : value)
    }
  }

  /** Nothing is added to it any more. */
  #retire(piece: ValuePiece): void {
    if (this.#last === piece) this.#last = null
    if (piece.buffer !== null && this.#byBuffer.get(piece.buffer) === piece)
      this.#byBuffer.delete(piece.buffer)
  }
}

/** It lies in memory with others. */
function isShared(value: Uint8Array): boolean {
  return value.byteLength !== value.buffer.byteLength
}

/** What a living value cannot do without. */
function liveBytes(value: Uint8Array): number {
  return HOLDER_BYTES + SHARING_VALUE_BYTES + value.length
}

/** What it takes besides the memory of its piece. */
function bytesBeside({ buffer }: ValuePiece, value: Uint8Array): number {
  if (buffer !== null) return SHARING_VALUE_BYTES
  return value.length + OWN_VALUE_BYTES
}
