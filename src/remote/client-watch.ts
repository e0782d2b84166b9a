/**
 * ClientWatch owns what has come of one watch and was not taken by its user yet. The host sends no more than a window ahead
 * of what was taken; behind that the watch waits in the store's own buffer.
 */
import type { WatchItem } from '../api.js'
import { BoundedIterator } from '../bounded-iterator.js'

export interface ClientWatchHooks {
  /** The user has taken so many items. */
  taken(count: number): void
  /** Nothing more is wanted. */
  stopped(): void
}

export class ClientWatch implements AsyncIterableIterator<WatchItem, undefined> {
  readonly #items: BoundedIterator<WatchItem>
  readonly #hooks: ClientWatchHooks
  /** So many items are told of at once. */
  readonly #step: number
  #taken = 0
  #isOver = false

  constructor(window: number, signal: AbortSignal | undefined, hooks: ClientWatchHooks) {
    this.#hooks = hooks
    this.#step = Math.max(1, window >> 1)
    // The host keeps the bound.
    this.#items = new BoundedIterator<WatchItem>(Infinity, { onClose: () => this.#closed() }, signal)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  push(item: WatchItem): void {
    this.#items.push(item)
  }

  end(): void {
    this.#items.end()
  }

  fail(error: unknown): void {
    this.#items.fail(error)
  }

  async next(): Promise<IteratorResult<WatchItem, undefined>> {
    const result = await this.#items.next()
    if (result.done !== true && !this.#isOver && ++this.#taken >= this.#step) {
      this.#hooks.taken(this.#taken)
      this.#taken = 0
    }
    return result
  }

  return(): Promise<IteratorResult<WatchItem, undefined>> {
    return this.#items.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #closed(): void {
    this.#isOver = true
    this.#hooks.stopped()
  }
}
