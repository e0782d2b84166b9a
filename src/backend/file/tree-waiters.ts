/** TreeWaiters owns the callers that wait until the tree shows a revision, or a later one, of keys or a namespace. */

interface Waiter {
  readonly namespace: string
  /** Keys that are still missing in the tree, with the revision that is waited for; empty key: the namespace itself. */
  readonly missing: Map<string, number>
  /** What the end of the waiting depends on; null: the first failure ends it. */
  readonly patience: Patience | null
  resolve(): void
  reject(error: unknown): void
}

/** Waits until each of the keys has come or failed, and rejects with the first failure then. */
interface Patience {
  /** Called for every key that has come. */
  readonly onStep: () => void
  failure: { readonly error: unknown } | null
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
  wait(namespace: string, revisions: Iterable<readonly [string, number]>): Promise<void> {
    return this.#wait(namespace, revisions, null)
  }

  /** As `wait`, but rejects only when each key has come or failed. `onStep` is called for every key that has come. */
  waitForAll(
    namespace: string,
    revisions: Iterable<readonly [string, number]>,
    onStep: () => void,
  ): Promise<void> {
    return this.#wait(namespace, revisions, { onStep, failure: null })
  }

  #wait(
    namespace: string,
    revisions: Iterable<readonly [string, number]>,
    patience: Patience | null,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = new Map(revisions)
      if (missing.size === 0) {
        resolve()
        return
      }
      const waiter: Waiter = { namespace, missing, patience, resolve, reject }
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
      waiter.patience?.onStep()
      endIfNothingIsMissing(waiter)
    }
  }

  /** The namespace was made or removed; older changes of its keys are settled with that. */
  namespaceDone(namespace: string, revision: number): void {
    for (const key of [...(this.#namespaces.get(namespace)?.keys() ?? [])])
      this.done(namespace, key, revision)
  }

  failed(namespace: string, key: string, error: unknown): void {
    for (const waiter of [...(this.#namespaces.get(namespace)?.get(key) ?? [])]) {
      if (waiter.patience === null) {
        this.#reject(waiter, error)
        continue
      }
      waiter.patience.failure ??= { error }
      waiter.missing.delete(key)
      this.#forget(waiter, key)
      endIfNothingIsMissing(waiter)
    }
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

function endIfNothingIsMissing(waiter: Waiter): void {
  if (waiter.missing.size > 0) return
  const failure = waiter.patience?.failure ?? null
  if (failure === null) waiter.resolve()
  else waiter.reject(failure.error)
}
