/**
 * TreeWaiters owns the callers that wait until the tree shows a revision, or a later one, of keys or a namespace. Those who
 * wait for all that there is are few and have many keys each, so they are not remembered key by key (I9).
 */

interface Waiter {
  /** Keys that are still missing in the tree, with the revision that is waited for; empty key: the namespace itself. */
  readonly missing: Map<string, number>
  resolve(): void
  reject(error: unknown): void
}

/** Waits until each of the keys has come or failed, and rejects with the first failure then. */
interface PatientWaiter extends Waiter {
  /** Called for every key that has come. */
  readonly onStep: () => void
  failure: { readonly error: unknown } | null
}

/** Of one namespace. */
interface Waiters {
  /** Those whom the first failure rejects. */
  readonly byKey: Map<string, Set<Waiter>>
  readonly patient: Set<PatientWaiter>
}

/** No key is empty, so this stands for the namespace's own creation or removal. */
export const NAMESPACE_ITSELF = ''

export class TreeWaiters {
  readonly #namespaces = new Map<string, Waiters>()

  get isEmpty(): boolean {
    return this.#namespaces.size === 0
  }

  has(namespace: string): boolean {
    return this.#namespaces.has(namespace)
  }

  /** Resolves when all keys have come; rejects with what `failed` says of one of them. */
  wait(namespace: string, revisions: Iterable<readonly [string, number]>): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = new Map(revisions)
      if (missing.size === 0) return resolve()
      const waiter: Waiter = { missing, resolve, reject }
      const { byKey } = this.#waitersOf(namespace)
      for (const key of missing.keys()) {
        const waiters = byKey.get(key)
        if (waiters === undefined) byKey.set(key, new Set([waiter]))
        else waiters.add(waiter)
      }
    })
  }

  /** As `wait`, but rejects only when each key has come or failed. `onStep` is called for every key that has come. */
  waitForAll(
    namespace: string,
    revisions: Iterable<readonly [string, number]>,
    onStep: () => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = new Map(revisions)
      if (missing.size === 0) return resolve()
      this.#waitersOf(namespace).patient.add({ missing, onStep, failure: null, resolve, reject })
    })
  }

  done(namespace: string, key: string, revision: number): void {
    const waiters = this.#namespaces.get(namespace)
    if (waiters === undefined) return
    for (const waiter of waiters.byKey.get(key) ?? []) {
      if (!isWanted(waiter, key, revision)) continue
      waiter.missing.delete(key)
      forget(waiters, waiter, key)
      if (waiter.missing.size === 0) waiter.resolve()
    }
    for (const waiter of waiters.patient) {
      if (!isWanted(waiter, key, revision)) continue
      waiter.missing.delete(key)
      waiter.onStep()
      endIfNothingIsMissing(waiters, waiter)
    }
    this.#forgetIfEmpty(namespace, waiters)
  }

  /** The namespace was made or removed; older changes of its keys are settled with that. */
  namespaceDone(namespace: string, revision: number): void {
    for (const key of this.#keysOf(namespace)) this.done(namespace, key, revision)
  }

  failed(namespace: string, key: string, error: unknown): void {
    const waiters = this.#namespaces.get(namespace)
    if (waiters === undefined) return
    for (const waiter of [...(waiters.byKey.get(key) ?? [])]) {
      for (const each of waiter.missing.keys()) forget(waiters, waiter, each)
      waiter.missing.clear()
      waiter.reject(error)
    }
    for (const waiter of waiters.patient) {
      if (!waiter.missing.delete(key)) continue
      waiter.failure ??= { error }
      endIfNothingIsMissing(waiters, waiter)
    }
    this.#forgetIfEmpty(namespace, waiters)
  }

  /** Nothing of the namespace gets into the tree for now. */
  namespaceFailed(namespace: string, error: unknown): void {
    for (const key of this.#keysOf(namespace)) this.failed(namespace, key, error)
  }

  rejectAll(error: unknown): void {
    for (const namespace of [...this.#namespaces.keys()]) this.namespaceFailed(namespace, error)
  }

  #waitersOf(namespace: string): Waiters {
    let waiters = this.#namespaces.get(namespace)
    if (waiters === undefined) {
      waiters = { byKey: new Map(), patient: new Set() }
      this.#namespaces.set(namespace, waiters)
    }
    return waiters
  }

  /** That somebody waits for. */
  #keysOf(namespace: string): Set<string> {
    const { byKey, patient } = this.#namespaces.get(namespace) ?? {}
    const keys = new Set(byKey?.keys())
    for (const { missing } of patient ?? []) for (const key of missing.keys()) keys.add(key)
    return keys
  }

  #forgetIfEmpty(namespace: string, { byKey, patient }: Waiters): void {
    // Whoever was told may have begun to wait anew.
    if (byKey.size > 0 || patient.size > 0 || this.#namespaces.get(namespace)?.byKey !== byKey) return
    this.#namespaces.delete(namespace)
  }
}

function isWanted({ missing }: Waiter, key: string, revision: number): boolean {
  const wanted = missing.get(key)
  return wanted !== undefined && wanted <= revision
}

function forget({ byKey }: Waiters, waiter: Waiter, key: string): void {
  const waiters = byKey.get(key)
  waiters?.delete(waiter)
  if (waiters?.size === 0) byKey.delete(key)
}

function endIfNothingIsMissing({ patient }: Waiters, waiter: PatientWaiter): void {
  if (waiter.missing.size > 0) return
  patient.delete(waiter)
  if (waiter.failure === null) waiter.resolve()
  else waiter.reject(waiter.failure.error)
}
