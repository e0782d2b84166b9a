/**
 * The memory backend: the contract of a backend without a disk, for tests. It owns all state in one map a namespace and
 * keeps it when it is closed, so that the same object can be opened again.
 *
 * - Exclusive: a second opening is refused until the first is closed (I10).
 * - A commit is answered in a later turn of the event loop, as any real one, and is visible then, not before (I2).
 */
import { stateError } from '../errors.js'
import type {
  Backend,
  BackendHost,
  CommitOutcome,
  Head,
  OpenAnswer,
  Plan,
  ReadAnswer,
  Unit,
} from './backend.js'

interface StoredEntry {
  readonly head: Head
  readonly value: Uint8Array
}

export function memoryBackend(): Backend {
  return new MemoryBackend()
}

class MemoryBackend implements Backend {
  readonly name = 'memory'
  readonly supports = { exclusive: true, commitsInFlight: 1 }
  readonly #namespaces = new Map<string, Map<string, StoredEntry>>()
  #revision = 0
  #isOpen = false

  open(_host: BackendHost): Promise<OpenAnswer> {
    if (this.#isOpen) {
      const owned = { pid: process.pid, since: null, sameProcess: true }
      return Promise.reject(stateError('STORE_OWNED', 'the memory backend is open in another store', owned))
    }
    this.#isOpen = true
    return Promise.resolve({ revision: this.#revision, recovered: null, foldName: null })
  }

  ready(): null {
    return null
  }

  async commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    await nextTurn()
    return plans.map((plan) => {
      const revision = this.#revision + 1
      for (const unit of plan.units) this.#apply(plan, unit, ++this.#revision)
      return { status: 'committed', revision }
    })
  }

  allocateRevision(): number {
    return ++this.#revision
  }

  namespaces(): Promise<readonly string[]> {
    return Promise.resolve([...this.#namespaces.keys()])
  }

  load(namespace: string): Promise<{ exists: boolean; keys: readonly string[] }> {
    const entries = this.#namespaces.get(namespace)
    return Promise.resolve({ exists: entries !== undefined, keys: [...(entries?.keys() ?? [])] })
  }

  heads(namespace: string, keys: readonly string[]): Promise<readonly (Head | null)[]> {
    const entries = this.#namespaces.get(namespace)
    return Promise.resolve(keys.map((key) => entries?.get(key)?.head ?? null))
  }

  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    const entries = this.#namespaces.get(namespace)
    return Promise.resolve(
      keys.map((key) => {
        const entry = entries?.get(key)
        return { head: entry?.head ?? null, value: entry?.value.slice() ?? null }
      }),
    )
  }

  materialized(): Promise<void> {
    return Promise.resolve()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<boolean> {
    this.#isOpen = false
    return Promise.resolve(true)
  }

  #apply(plan: Plan, unit: Unit, revision: number): void {
    if (unit.kind === 'remove') {
      this.#namespaces.delete(plan.namespace)
      return
    }
    let entries = this.#namespaces.get(plan.namespace)
    if (entries === undefined) {
      entries = new Map()
      this.#namespaces.set(plan.namespace, entries)
    }
    if (unit.kind === 'create') return
    for (const change of unit.changes) {
      if (change.kind === 'delete') {
        entries.delete(change.key)
        continue
      }
      const { key, size, writer, writerAtS, anonymous } = change
      const head = { revision, writer, writerAtS, anonymous, external: false, size, updatedAtMs: plan.atMs }
      entries.set(key, { head, value: new Uint8Array(change.value) })
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
