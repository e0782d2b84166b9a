/** Room for so many items is kept when the queue has become empty. */
const KEPT_ITEMS_MAX = 16

/** First in, first out, with constant time at the front. */
export class Queue<T> {
  /** The items lie from `#head` to before `#tail`; all other places are empty. */
  #items: (T | undefined)[] = []
  #head = 0
  #tail = 0

  get length(): number {
    return this.#tail - this.#head
  }

  push(item: T): void {
    this.#items[this.#tail++] = item
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  at(index: number): T | undefined {
    return this.#items[this.#head + index]
  }

  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#tail) {
      if (this.#items.length > KEPT_ITEMS_MAX) this.#items = []
      this.#head = 0
      this.#tail = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#tail) {
      this.#setItems(this.#items.slice(this.#head, this.#tail))
    }
    return item
  }

  unshift(item: T): void {
    if (this.#head === 0) {
      this.#items.unshift(item)
      this.#tail++
    } else {
      this.#items[--this.#head] = item
    }
  }

  /** Leaves out the items that are not to be kept. */
  keep(isKept: (item: T) => boolean): void {
    this.#setItems((this.#items.slice(this.#head, this.#tail) as T[]).filter(isKept))
  }

  #setItems(items: (T | undefined)[]): void {
    this.#items = items
    this.#head = 0
    this.#tail = items.length
  }
}
