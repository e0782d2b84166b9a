/**
 * BoundedCache owns nothing but an account: which items take how many bytes, and in which order they were last looked
 * at. When there are too many bytes it tells its owner which items to let go of. Second chance instead of strict
 * recency: looking at an item only sets a flag, so that a hot read costs nothing here.
 */
export interface CacheItem {
  /** Set by whoever uses the item. */
  used: boolean
}

export class BoundedCache<T extends CacheItem> {
  readonly #bytesMax: number
  /** Lets go of the item; false if it is needed at the moment. */
  readonly #release: (item: T) => boolean
  readonly #items = new Map<T, number>()
  /** The next item to look at. It goes round; starting at the first one again and again is slow after many deletions. */
  #hand: Iterator<T>
  #bytes = 0

  constructor(bytesMax: number, release: (item: T) => boolean) {
    this.#bytesMax = bytesMax
    this.#release = release
    this.#hand = this.#items.keys()
  }

  get bytes(): number {
    return this.#bytes
  }

  set(item: T, bytes: number): void {
    this.#bytes += bytes - (this.#items.get(item) ?? 0)
    this.#items.set(item, bytes)
  }

  delete(item: T): void {
    const bytes = this.#items.get(item)
    if (bytes === undefined) return
    this.#items.delete(item)
    this.#bytes -= bytes
  }

  /** Brings the account below its bound, as far as items can be let go. Looks at every item at most twice. */
  trim(): void {
    for (let looks = this.#items.size * 2; this.#bytes > this.#bytesMax && looks > 0; looks--) {
      const next = this.#hand.next()
      if (next.done === true) this.#hand = this.#items.keys()
      else this.#look(next.value)
    }
  }

  #look(item: T): void {
    if (!item.used && this.#release(item)) {
      this.delete(item)
    } else {
      item.used = false
    }
  }
}
