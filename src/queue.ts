/** First in, first out, with constant time at the front. */
export class Queue<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  at(index: number): T | undefined {
    return this.#items[this.#head + index]
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  unshift(item: T): void {
    if (this.#head === 0) {
      this.#items.unshift(item)
    } else {
      this.#items[--this.#head] = item
    }
  }

  /** Leaves out the items that are not to be kept. */
  keep(isKept: (item: T) => boolean): void {
    this.#items = (this.#items.slice(this.#head) as T[]).filter(isKept)
    this.#head = 0
  }
}
