/**
 * SharedIterator owns the event iterators of the owners of a shared root, one after the other: what the one that has gone
 * left is given first, then that something may be missing, then what the next one has. No more than two are kept: what an
 * owner in between had to tell is missing as well.
 */
const DONE = { done: true, value: undefined } as const

export class SharedIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #gap: T
  readonly #onReturn: () => void
  #iterators: AsyncIterator<T>[] = []
  #isOver = false
  #wake: () => void = () => {}
  #changed: Promise<void> = Promise.resolve()

  /** `gap` is given where something may be missing; `onReturn` is called when nothing more is wanted. */
  constructor(gap: T, onReturn: () => void) {
    this.#gap = gap
    this.#onReturn = onReturn
    this.#expectChange()
  }

  attach(events: AsyncIterable<T>): void {
    const [first, second] = this.#iterators
    void second?.return?.()
    const next = events[Symbol.asyncIterator]()
    this.#iterators = first === undefined ? [next] : [first, next]
    this.#expectChange()
  }

  /** Ends after what is there. */
  end(): void {
    this.#isOver = true
    this.#expectChange()
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const [current] = this.#iterators
      if (current !== undefined) {
        const result = await current.next()
        if (result.done !== true) return result
        // Of several that wait, one is told.
        if (this.#iterators[0] !== current) continue
        if (this.#iterators.length > 1) {
          this.#iterators.shift()
          return { done: false, value: this.#gap }
        }
      }
      if (this.#isOver) return DONE
      await this.#changed
    }
  }

  return(): Promise<IteratorResult<T, undefined>> {
    const iterators = this.#iterators
    this.#iterators = []
    for (const iterator of iterators) void iterator.return?.()
    this.#onReturn()
    this.end()
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #expectChange(): void {
    this.#wake()
    this.#changed = new Promise((resolve) => (this.#wake = resolve))
  }
}
