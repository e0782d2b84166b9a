/**
 * SpaceWait owns the waiting for room on a full disk: writers wait for a bounded time since the disk was found full, while
 * room is looked for again and again; then they are let through, to be refused with `NO_SPACE`.
 */
import { performance } from 'node:perf_hooks'

const LOOK_AGAIN_MS = 100
/** Room that is made later is found by the next write only. */
const KNOWN_FOR_MS = 60_000

export class SpaceWait {
  readonly #waitMs: number
  readonly #tryAgain: () => Promise<string | null>
  /** Since when the disk is full; null: it is not, as far as is known. */
  #fullSinceMs: number | null = null
  /** When room was last looked for in vain. */
  #lookedAtMs = 0
  #waiting: Promise<void> | null = null
  #stopped = false

  constructor(waitMs: number, tryAgain: () => Promise<string | null>) {
    this.#waitMs = waitMs
    this.#tryAgain = tryAgain
  }

  /** Room was looked for; null: and found. */
  note(failure: string | null): void {
    if (failure === null) this.#fullSinceMs = null
    else this.#lookedAtMs = performance.now()
  }

  /** A write found no room. */
  noteFull(): void {
    this.#lookedAtMs = performance.now()
    this.#fullSinceMs ??= this.#lookedAtMs
  }

  /** Milliseconds for which the disk has been full; 0: it is not, or nobody has looked for a minute. */
  get fullMs(): number {
    const nowMs = performance.now()
    if (this.#fullSinceMs === null || nowMs >= this.#lookedAtMs + KNOWN_FOR_MS) return 0
    return nowMs - this.#fullSinceMs
  }

  /** Null: nothing to wait for, or waited for long enough. */
  wait(): Promise<void> | null {
    if (this.#fullSinceMs === null || this.#stopped) return null
    if (performance.now() >= this.#fullSinceMs + this.#waitMs) return null
    this.#waiting ??= this.#lookAgain().finally(() => {
      this.#waiting = null
    })
    return this.#waiting
  }

  stop(): void {
    this.#stopped = true
  }

  async #lookAgain(): Promise<void> {
    while (this.#fullSinceMs !== null && !this.#stopped) {
      if (performance.now() >= this.#fullSinceMs + this.#waitMs) return
      if ((await this.#tryAgain()) === null) this.#fullSinceMs = null
      else await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }
}
