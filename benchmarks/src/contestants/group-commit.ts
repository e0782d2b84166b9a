/**
 * The loop that makes groups for contestants which have none of their own: while one group is being made durable the next
 * one forms, and everybody in a group is answered at once.
 */
interface Waiting<T> {
  readonly item: T
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

export class GroupCommit<T> {
  readonly #commit: (items: readonly T[]) => unknown
  readonly #groupMax: number
  #queue: Waiting<T>[] = []
  #running = false

  /** `commit` returns, or resolves, when all items are durable. */
  constructor(groupMax: number, commit: (items: readonly T[]) => unknown) {
    this.#groupMax = groupMax
    this.#commit = commit
  }

  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      if (this.#running) return
      this.#running = true
      // All callers that were just answered get the chance to join.
      setImmediate(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue.slice(0, this.#groupMax)
      this.#queue = this.#queue.slice(this.#groupMax)
      try {
        await this.#commit(group.map(({ item }) => item))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#running = false
  }
}
