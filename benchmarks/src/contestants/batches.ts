/**
 * What is asked for in one turn of the event loop, spread evenly over the threads that are idle; what comes while all are
 * busy waits, and goes together.
 */
interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (reason: unknown) => void
}

export class Batches<T, R> {
  readonly #most: number
  readonly #threads: number
  readonly #run: (items: readonly T[]) => Promise<readonly R[]>
  readonly #queue: Waiting<T, R>[] = []
  #running = 0
  #scheduled = false

  /** `run` answers for every item, in order. */
  constructor(most: number, threads: number, run: (items: readonly T[]) => Promise<readonly R[]>) {
    this.#most = most
    this.#threads = threads
    this.#run = run
  }

  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#running === this.#threads || this.#queue.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#running < this.#threads && this.#queue.length > 0) {
        const share = Math.ceil(this.#queue.length / (this.#threads - this.#running))
        void this.#begin(this.#queue.splice(0, Math.min(share, this.#most)))
      }
    })
  }

  async #begin(batch: readonly Waiting<T, R>[]): Promise<void> {
    this.#running++
    try {
      const results = await this.#run(batch.map(({ item }) => item))
      batch.forEach(({ resolve }, index) => resolve(results[index]!))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
    this.#running--
    this.#schedule()
  }
}
