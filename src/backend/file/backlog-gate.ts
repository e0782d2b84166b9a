/**
 * BacklogGate owns the waiting of writers for room in the backlog: how full it is, and who waits (I9). What is stuck keeps
 * nobody waiting where there is nothing else: that would not make it less.
 */
import type { Limits } from '../../limits.js'
import type { Backlog } from './backlog.js'
import type { Journal } from './journal.js'
import { SEGMENT_BYTES } from './segment.js'

export interface BacklogGateOptions {
  readonly backlog: Backlog
  readonly journal: Journal
  readonly limits: Pick<Limits, 'backlogKeysMax' | 'backlogBytesMax'>
  /** Somebody waits for the tree. */
  onWaiting(): void
}

export class BacklogGate {
  readonly #options: BacklogGateOptions
  readonly #waiters: (() => void)[] = []

  constructor(options: BacklogGateOptions) {
    this.#options = options
  }

  /** How full the backlog is: 1 at its bound. By segments alone, which come free as a whole, writers would stop and go. */
  get fill(): number {
    const { backlog, journal, limits } = this.#options
    const { backlogKeysMax: keysMax, backlogBytesMax: bytesMax } = limits
    const held = journal.backlogBytes / (bytesMax + 2 * SEGMENT_BYTES)
    return Math.max(backlog.count / keysMax, backlog.bytes / bytesMax, held)
  }

  /** Null: there is room. */
  wait(): Promise<void> | null {
    if (!this.#isShut) return null
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.#options.onWaiting()
    })
  }

  /** Operations have left the backlog, or are known to be stuck. */
  progressed(): void {
    if (!this.#isShut) this.open()
  }

  /** Nobody is to wait any more: no write gets into the backlog. */
  open(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  get #isShut(): boolean {
    const { backlog } = this.#options
    return this.fill >= 1 && backlog.count !== backlog.stuckCount
  }
}
