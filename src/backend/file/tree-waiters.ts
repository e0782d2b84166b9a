/** TreeWaiters owns the callers that wait until the tree shows a revision, or a later one, of keys or a namespace. */

interface Waiter {
  readonly namespace: string
  /** Keys that are still missing in the tree, with the revision that is waited for; empty key: the namespace itself. */
  readonly missing: Map<string, number>
  /** Called for every key that has come. */
  readonly onStep: (() => void) | undefined
  resolve(): void
  reject(error: unknown): void
}

/** No key is empty, so this stands for the namespace's own creation or removal. */
export const NAMESPACE_ITSELF = ''

export class TreeWaiters {
  readonly #namespaces = new Map<string, Map<string, Set<Waiter>>>()

  get isEmpty(): boolean {
    return this.#namespaces.size === 0
  }

  has(namespace: string): boolean {
    return this.#namespaces.has(namespace)
  }

  /** Resolves when all keys have come; rejects with what `failed` says of one of them. */
  wait(
    namespace: string,
    revisions: Iterable<readonly [string, number]>,
    onStep?: () => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = new Map(revisions)
      if (missing.size === 0) {
        resolve()
        return
      }
      const waiter: Waiter = { namespace, missing, onStep, resolve, reject }
      let keys = this.#namespaces.get(namespace)
      if (keys === undefined) {
        keys = new Map()
        this.#namespaces.set(namespace, keys)
      }
      for (const key of missing.keys()) {
        const waiters = keys.get(key)
        if (waiters === undefined) keys.set(key, new Set([waiter]))
        else waiters.add(waiter)
      }
    })
  }

  done(namespace: string, key: string, revision: number): void {
    const waiters = this.#namespaces.get(namespace)?.get(key)
    if (waiters === undefined) return
    for (const waiter of waiters) {
      const wanted = waiter.missing.get(key)
      if (wanted === undefined || wanted > revision) continue
      waiter.missing.delete(key)
      this.#forget(waiter, key)
      waiter.onStep?.()
      if (waiter.missing.size === 0) waiter.resolve()
    }
  }

  /** The namespace was made or removed; older changes of its keys are settled with that. */
  namespaceDone(namespace: string, revision: number): void {
    for (const key of [...(this.#namespaces.get(namespace)?.keys() ?? [])])
      this.done(namespace, key, revision)
  }

  failed(namespace: string, key: string, error: unknown): void {
    for (const waiter of [...(this.#namespaces.get(namespace)?.get(key) ?? [])]) this.#reject(waiter, error)
  }

  /** Nothing of the namespace gets into the tree for now. */
  namespaceFailed(namespace: string, error: unknown): void {
    for (const key of [...(this.#namespaces.get(namespace)?.keys() ?? [])]) this.failed(namespace, key, error)
  }

  rejectAll(error: unknown): void {
    for (const namespace of [...this.#namespaces.keys()]) this.namespaceFailed(namespace, error)
  }

  #reject(waiter: Waiter, error: unknown): void {
    for (const key of waiter.missing.keys()) this.#forget(waiter, key)
    waiter.missing.clear()
    waiter.reject(error)
  }

  #forget(waiter: Waiter, key: string): void {
    const keys = this.#namespaces.get(waiter.namespace)
    const waiters = keys?.get(key)
    if (keys === undefined || waiters === undefined) return
    waiters.delete(waiter)
    if (waiters.size === 0) keys.delete(key)
    if (keys.size === 0) this.#namespaces.delete(waiter.namespace)
  }
}
