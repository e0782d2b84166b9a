/**
 * Contents that a key had according to the journal, so that recovery can tell what the store left in the tree from what was
 * edited by hand. A full journal may hold millions of one key, so each takes eight bytes and no object (I9). They are
 * `packed`: of each the size and the CRC-32, one behind the other.
 */
import type { KnownContent } from './tasks.js'

const PAIR = 2
const FIRST_PAIRS = 1

/** Owns the contents of one key while they become known. */
export class KnownContents {
  #numbers = new Uint32Array(PAIR * FIRST_PAIRS)
  #used = 0

  /** In memory, and in the journal when it is written again. */
  get bytes(): number {
    return this.#used * Uint32Array.BYTES_PER_ELEMENT
  }

  add({ size, crc }: KnownContent): void {
    this.#reserve(PAIR)
    this.#numbers[this.#used] = size
    this.#numbers[this.#used + 1] = crc
    this.#used += PAIR
  }

  /** Adds what is not known yet. */
  include(content: KnownContent): void {
    if (!includesContent(this.#numbers.subarray(0, this.#used), content)) this.add(content)
  }

  /**
   * Adds what is not known yet. Until an opening has got through, each that begins again finds what the others have carried:
   * without looking, what is known of a key would double every time.
   */
  addPacked(packed: Uint32Array): void {
    const crcsBySize = new Map<number, Set<number>>()
    const isNew = (size: number, crc: number): boolean => {
      const crcs = crcsBySize.get(size)
      if (crcs?.has(crc) === true) return false
      if (crcs === undefined) crcsBySize.set(size, new Set([crc]))
      else crcs.add(crc)
      return true
    }
    for (let i = 0; i < this.#used; i += PAIR) isNew(this.#numbers[i]!, this.#numbers[i + 1]!)
    for (let i = 0; i < packed.length; i += PAIR) {
      const content = { size: packed[i]!, crc: packed[i + 1]! }
      if (isNew(content.size, content.crc)) this.add(content)
    }
  }

  /** A copy without the one given, which is told of elsewhere. */
  packed(without: KnownContent | null = null): Uint32Array {
    const packed = this.#numbers.slice(0, this.#used)
    if (without === null) return packed
    let kept = 0
    for (let i = 0; i < packed.length; i += PAIR) {
      if (packed[i] === without.size && packed[i + 1] === without.crc) continue
      packed[kept++] = packed[i]!
      packed[kept++] = packed[i + 1]!
    }
    return packed.slice(0, kept)
  }

  #reserve(more: number): void {
    const needed = this.#used + more
    if (needed <= this.#numbers.length) return
    const grown = new Uint32Array(Math.max(needed, 2 * this.#numbers.length))
    grown.set(this.#numbers.subarray(0, this.#used))
    this.#numbers = grown
  }
}

/** Whether one of them has this size. */
export function includesSize(packed: Uint32Array, size: number): boolean {
  for (let i = 0; i < packed.length; i += PAIR) if (packed[i] === size) return true
  return false
}

export function includesContent(packed: Uint32Array, { size, crc }: KnownContent): boolean {
  for (let i = 0; i < packed.length; i += PAIR) if (packed[i] === size && packed[i + 1] === crc) return true
  return false
}
