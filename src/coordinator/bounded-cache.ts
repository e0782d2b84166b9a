/**
 * BoundedCache owns nothing but an account: which items take how many bytes, and in which order they were last looked
 * at. When there are too many bytes it tells its owner which items to let go of. Second chance instead of strict
 * recency: looking at an item only sets a flag, so that a hot read costs nothing here.
 */

/** An item that one cache may hold. It is its own place there: of many, objects beside them would take much. */
export abstract class Cacheable {
  /** Set by whoever uses the item. */
  used = false
  /** What the item takes; changed by its cache only, like the neighbours. */
  bytes = 0
  /** Neighbours in the cache's ring; null outside of it. */
  next: this | null = null
  previous: this | null = null
}

export class BoundedCache<T extends Cacheable> {
  readonly #bytesMax: number
  /** Lets go of the item; false if it is needed at the moment. */
  readonly #release: (item: T) => boolean
  /** The place to look at next, in a ring of all; what is new comes in behind it and is looked at last. */
  #hand: T | null = null
  #count = 0
  #bytes = 0

  constructor(bytesMax: number, release: (item: T) => boolean) {
    this.#bytesMax = bytesMax
    this.#release = release
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The one to look at next. */
  get oldest(): T | null {
    return this.#hand
  }

  set(item: T, bytes: number): void {
    this.#bytes += bytes - item.bytes
    item.bytes = bytes
    if (item.next === null) this.#insert(item)
  }

  delete(item: T): void {
    const { next, previous } = item
    if (next === null || previous === null) return
    this.#bytes -= item.bytes
    this.#count--
    if (this.#hand === item) this.#hand = next === item ? null : next
    // In this order: one that was alone is its own neighbour.
    previous.next = next
    next.previous = previous
    item.next = null
    item.previous = null
    item.bytes = 0
  }

  /** Brings the account below its bound, as far as items can be let go. Looks at every item at most twice. */
  trim(): void {
    for (let looks = this.#count * 2; this.#bytes > this.#bytesMax && looks > 0; looks--) {
      const item = this.#hand
      if (item === null) return
      this.#hand = item.next
      if (!item.used && this.#release(item)) this.delete(item)
      else item.used = false
    }
  }

  #insert(item: T): void {
    this.#count++
    const hand = this.#hand
    if (hand === null) {
      item.next = item
      item.previous = item
      this.#hand = item
      return
    }
    const last = hand.previous!
    item.previous = last
    item.next = hand
    last.next = item
    hand.previous = item
  }
}
