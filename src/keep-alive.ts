/**
 * KeepAlive keeps the event loop running while somebody waits for what has no handle in it, such as what another thread or
 * process has to do first: Node.js would end the process, with the call unanswered (I11).
 */

/** As long as a timer may be; it is never waited for. */
const LONG_MS = 2 ** 31 - 1

export class KeepAlive {
  #waiting = 0
  #timer: NodeJS.Timeout | null = null

  async while<T>(waiting: Promise<T>): Promise<T> {
    const release = this.hold()
    try {
      return await waiting
    } finally {
      release()
    }
  }

  /** Until what it returns is called, once. */
  hold(): () => void {
    if (this.#waiting++ === 0) this.#timer = setInterval(() => {}, LONG_MS)
    return () => {
      if (--this.#waiting === 0 && this.#timer !== null) clearInterval(this.#timer)
    }
  }
}
