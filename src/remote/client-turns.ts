/**
 * ClientTurns owns how many updates of a connection may stand in line at the host; others wait here. An update inside
 * another one is let through: whoever holds a turn must be able to finish.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { orAborted } from '../abort.js'
import { Queue } from '../queue.js'

/** The update in whose function the code at hand runs, as its host knows it. */
export interface RunningUpdate {
  readonly store: string
  readonly token: string
  readonly id: number
  readonly around: RunningUpdate | null
}

/** Of all connections of this thread: an update through one of them may be inside an update through another. */
const running = new AsyncLocalStorage<RunningUpdate>()

/** The nearest update of this store around the code at hand. */
export function findRunningUpdate(store: string): RunningUpdate | null {
  for (let update = running.getStore() ?? null; update !== null; update = update.around) {
    if (update.store === store) return update
  }
  return null
}

export function runInUpdate<T>(update: Omit<RunningUpdate, 'around'>, fn: () => Promise<T>): Promise<T> {
  return running.run({ ...update, around: running.getStore() ?? null }, fn)
}

/** `start` is null when it has been let in, or has given up. */
interface Waiter {
  start: (() => void) | null
}

const PURGE_AT = 4

export class ClientTurns {
  readonly #max: number
  readonly #waiting = new Queue<Waiter>()
  /** So many updates in line are looked through for those that were given up. */
  #purgeAt = PURGE_AT
  #count = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Updates in line, given-up ones too as long as they are not forgotten. */
  get waitingCount(): number {
    return this.#waiting.length
  }

  /** Null if there is room; otherwise resolves when there is. Whoever entered has to leave. */
  enter(...signals: readonly (AbortSignal | undefined)[]): Promise<void> | null {
    if (this.#count < this.#max) {
      this.#count++
      return null
    }
    const waiter: Waiter = { start: null }
    const room = new Promise<void>((resolve) => (waiter.start = resolve))
    this.#wait(waiter)
    return orAborted(room, ...signals).catch((reason: unknown) => {
      // It may have been let in in the same moment.
      if (waiter.start === null) this.leave()
      waiter.start = null
      throw reason
    })
  }

  leave(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { start } = next
      if (start === null) continue
      next.start = null
      start()
      return
    }
    this.#count--
  }

  /** Those who gave up while others still wait keep no memory (I9). */
  #wait(waiter: Waiter): void {
    this.#waiting.push(waiter)
    if (this.#waiting.length < this.#purgeAt) return
    this.#waiting.keep(({ start }) => start !== null)
    this.#purgeAt = Math.max(PURGE_AT, this.#waiting.length * 2)
  }
}
