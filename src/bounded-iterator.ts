import { onAbort } from './abort.js'

/**
 * BoundedIterator owns the items between somebody who produces them at his own pace and one consumer. The producer
 * never waits; when the buffer is full, `push` says so and the producer decides what that means (I9). `next` never
 * stays pending after the end, an abort or a failure (I11).
 */
export interface IteratorHooks<T> {
  /** Called once, when nothing more will be taken. */
  onClose(): void
  /** Asked when the buffer has run empty: an item that stands for what was dropped, or null. */
  onEmpty?(): T | null
}

type Ending =
  { readonly kind: 'open' } | { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown }

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void
  reject(error: unknown): void
}

export class BoundedIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #itemsMax: number
  readonly #hooks: IteratorHooks<T>
  #buffer: T[] = []
  readonly #waiters: Waiter<T>[] = []
  readonly #detach: () => void = () => {}
  #ending: Ending = { kind: 'open' }
  #closed = false
  /** Nothing of what there was is given any more. */
  #isDropped = false

  constructor(itemsMax: number, hooks: IteratorHooks<T>, signal: AbortSignal | undefined) {
    this.#itemsMax = itemsMax
    this.#hooks = hooks
    if (signal === undefined) return
    this.#detach = onAbort(signal, () => {
      this.#drop()
      this.fail(signal.reason)
    })
  }

  get isFull(): boolean {
    return this.#buffer.length >= this.#itemsMax
  }

  /** Items that were not taken yet. */
  get waiting(): number {
    return this.#buffer.length
  }

  /** False if the item was not taken: the buffer is full, or the iterator has ended. */
  push(item: T): boolean {
    if (this.#ending.kind !== 'open') return false
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: item })
      return true
    }
    if (this.isFull) return false
    this.#buffer.push(item)
    return true
  }

  /** Ends after what is buffered. */
  end(): void {
    this.#finish({ kind: 'done' })
  }

  /** Fails after what is buffered. */
  fail(error: unknown): void {
    this.#finish({ kind: 'failed', error })
  }

  /** Leaves out of what waits what is not to be given. */
  keep(isKept: (item: T) => boolean): void {
    this.#buffer = this.#buffer.filter(isKept)
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#buffer.shift() ?? (this.#isDropped ? null : this.#hooks.onEmpty?.())
    if (item !== undefined && item !== null) return Promise.resolve({ done: false, value: item })
    const ending = this.#ending
    if (ending.kind === 'done') return Promise.resolve({ done: true, value: undefined })
    if (ending.kind === 'failed') {
      this.#ending = { kind: 'done' }
      return Promise.reject(ending.error)
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#drop()
    this.#finish({ kind: 'done' })
    this.#ending = { kind: 'done' }
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #drop(): void {
    this.#buffer.length = 0
    this.#isDropped = true
  }

  #finish(ending: Ending): void {
    if (this.#closed) return
    this.#closed = true
    this.#ending = ending
    this.#detach()
    const first = this.#waiters.shift()
    if (first !== undefined) {
      if (ending.kind === 'failed') {
        this.#ending = { kind: 'done' }
        first.reject(ending.error)
      } else {
        first.resolve({ done: true, value: undefined })
      }
    }
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ done: true, value: undefined })
    this.#hooks.onClose()
  }
}
