/**
 * BoundedCache owns nothing but an account: which items take how many bytes, and in which order they were last looked
 * at. When there are too many bytes it tells its owner which items to let go of. Second chance instead of strict
 * recency: looking at an item only sets a flag, so that a hot read costs nothing here.
 */

/** The place of one item in one cache. The owner of the item keeps it, so that nothing has to be looked up. */
export class CachePlace<T> {
  readonly item: T
  /** Set by whoever uses the item. */
  used = false
  /** What the item takes; changed by its cache only, like the neighbours. */
  bytes = 0
  /** Neighbours in the cache's ring; null outside of it. */
  next: CachePlace<T> | null = null
  previous: CachePlace<T> | null = null

  constructor(item: T) {
    this.item = item
  }
}

export class BoundedCache<T> {
  readonly #bytesMax: number
  /** Lets go of the item; false if it is needed at the moment. */
  readonly #release: (item: T) => boolean
  /** The place to look at next, in a ring of all; what is new comes in behind it and is looked at last. */
  #hand: CachePlace<T> | null = null
  #count = 0
  #bytes = 0

  constructor(bytesMax: number, release: (item: T) => boolean) {
    this.#bytesMax = bytesMax
    this.#release = release
  }

  get bytes(): number {
    return this.#bytes
  }

  set(place: CachePlace<T>, bytes: number): void {
    this.#bytes += bytes - place.bytes
    place.bytes = bytes
    if (place.next === null) this.#insert(place)
  }

  delete(place: CachePlace<T>): void {
    const { next, previous } = place
    if (next === null || previous === null) return
    this.#bytes -= place.bytes
    this.#count--
    if (this.#hand === place) this.#hand = next === place ? null : next
    // In this order: a place that was alone is its own neighbour.
    previous.next = next
    next.previous = previous
    place.next = null
    place.previous = null
    place.bytes = 0
  }

  /** Brings the account below its bound, as far as items can be let go. Looks at every item at most twice. */
  trim(): void {
    for (let looks = this.#count * 2; this.#bytes > this.#bytesMax && looks > 0; looks--) {
      const place = this.#hand
      if (place === null) return
      this.#hand = place.next
      if (!place.used && this.#release(place.item)) this.delete(place)
      else place.used = false
    }
  }

  #insert(place: CachePlace<T>): void {
    this.#count++
    const hand = this.#hand
    if (hand === null) {
      place.next = place
      place.previous = place
      this.#hand = place
      return
    }
    const last = hand.previous!
    place.previous = last
    place.next = hand
    last.next = place
    hand.previous = place
  }
}
