/**
 * HostWatches owns the watches of one connection. Each sends so many items ahead of what the other side has taken; behind
 * that the watch's own buffer fills, and it ends with `WATCH_OVERFLOW` as any watch that is not read (I9).
 */
import type { WatchItem, WatchOptions } from '../api.js'
import type { Coordinator } from '../coordinator/coordinator.js'
import { stateError } from '../errors.js'
import type { WatchIterable } from '../coordinator/watch.js'
import { EVENT_WINDOW } from './wire.js'

export interface WatchAnswers {
  item(id: number, item: WatchItem): void
  /** No item follows. The error is set if the watch has failed. */
  end(id: number, failure: { readonly error: unknown } | null): void
}

interface OpenWatch {
  readonly items: WatchIterable
  /** Items that may be sent now. */
  window: number
  wake: () => void
  readonly done: Promise<void>
}

export class HostWatches {
  readonly #coordinator: Coordinator
  readonly #answers: WatchAnswers
  readonly #windowMax: number
  readonly #bufferMax: number
  readonly #watches = new Map<number, OpenWatch>()

  constructor(coordinator: Coordinator, answers: WatchAnswers) {
    this.#coordinator = coordinator
    this.#answers = answers
    const { window, buffer } = shareBuffer(coordinator.limits.eventBufferMax)
    this.#windowMax = window
    this.#bufferMax = buffer
  }

  get size(): number {
    return this.#watches.size
  }

  start(id: number, namespace: string, options: WatchOptions): void {
    const max = this.#coordinator.limits.connectionWatchesMax
    if (this.#watches.size >= max) {
      const fields = { limit: 'connectionWatchesMax', max, actual: max + 1 } as const
      throw stateError('LIMIT_EXCEEDED', `a connection may have ${max} watches`, fields)
    }
    const items = this.#coordinator.watch(namespace, options, this.#bufferMax)
    // It begins in a microtask, when it is among the watches.
    const done = Promise.resolve().then(() => this.#run(id))
    this.#watches.set(id, { items, window: this.#windowMax, wake: () => {}, done })
  }

  /** The other side's user has taken so many items. False if that can't be. */
  taken(id: number, count: number): boolean {
    const watch = this.#watches.get(id)
    if (watch === undefined) return true
    if (watch.window !== Infinity && watch.window + count > this.#windowMax) return false
    watch.window += count
    watch.wake()
    return true
  }

  stop(id: number): void {
    const watch = this.#watches.get(id)
    if (watch === undefined) return
    this.#watches.delete(id)
    void watch.items.return?.()
    watch.wake()
  }

  /** Ends all of them behind what is buffered, and sends that. */
  async finish(): Promise<void> {
    const watches = [...this.#watches.values()]
    for (const watch of watches) {
      watch.items.end()
      watch.window = Infinity
      watch.wake()
    }
    await Promise.all(watches.map(({ done }) => done))
  }

  close(): void {
    for (const id of [...this.#watches.keys()]) this.stop(id)
  }

  async #run(id: number): Promise<void> {
    let failure: { readonly error: unknown } | null = null
    try {
      for (let watch = this.#watches.get(id); watch !== undefined; watch = this.#watches.get(id)) {
        if (watch.window <= 0) {
          const blocked = watch
          await new Promise<void>((resolve) => (blocked.wake = resolve))
          continue
        }
        const next = await watch.items.next()
        if (!this.#watches.has(id)) return
        if (next.done === true) break
        watch.window--
        this.#answers.item(id, next.value)
      }
    } catch (error) {
      failure = { error }
    }
    if (this.#watches.delete(id)) this.#answers.end(id, failure)
  }
}

/** What may lie with the other side, and what behind it; together what one watch may buffer. */
export function shareBuffer(bufferMax: number): { readonly window: number; readonly buffer: number } {
  const window = Math.max(1, Math.min(EVENT_WINDOW, bufferMax >> 1))
  return { window, buffer: Math.max(1, bufferMax - window) }
}
