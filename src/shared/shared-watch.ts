/**
 * SharedWatch is a watch of one owner of a shared root. When that owner goes, it fails with `DISCONNECTED` behind what has
 * come: the next owner does not know which changes were told, so a gap would be silent otherwise (I9).
 */
import type { WatchItem } from '../api.js'
import { stateError } from '../errors.js'

type Result = IteratorResult<WatchItem, undefined>

export class SharedWatch implements AsyncIterableIterator<WatchItem, undefined> {
  readonly #items: Promise<AsyncIterator<WatchItem>>
  readonly #isClosed: () => boolean
  #isOver = false

  constructor(items: Promise<AsyncIterable<WatchItem>>, isClosed: () => boolean) {
    this.#items = items.then((iterable) => iterable[Symbol.asyncIterator]())
    this.#isClosed = isClosed
    // Who never asks for an item is not told either.
    this.#items.catch(() => {})
  }

  async next(): Promise<Result> {
    if (this.#isOver) return { done: true, value: undefined }
    try {
      const result = await (await this.#items).next()
      if (result.done !== true) return result
    } catch (error) {
      if (this.#isOver) return { done: true, value: undefined }
      this.#isOver = true
      throw error
    }
    // Nobody else ends a watch than its user, or the store.
    const isLost = !this.#isOver && !this.#isClosed()
    this.#isOver = true
    if (!isLost) return { done: true, value: undefined }
    const message =
      'the owner of the root has gone, and with it what it had to tell: watch again, with `initial`'
    throw stateError('DISCONNECTED', message, {})
  }

  return(): Promise<Result> {
    this.#isOver = true
    void this.#items.then((items) => items.return?.()).catch(() => {})
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
