/**
 * Namespaces owns the states of the namespaces in memory and their bounds (I9): values and heads are let go one by
 * one, names with their whole namespace once nobody uses it. What is let go is loaded again from the backend.
 */
import type { Backend, Head, HeadAnswer, UnreadableHead } from '../backend/backend.js'
import type { Limits } from '../limits.js'
import { utf8Length } from '../utf8.js'
import { BoundedCache } from './bounded-cache.js'
import { Names } from './names.js'
import { NamespaceState, type KeyState } from './namespace-state.js'
import { ValueCache } from './value-cache.js'

export class Namespaces {
  readonly #backend: Backend
  readonly #keyBytesMax: number
  readonly #isInUse: (state: NamespaceState) => boolean
  readonly #states = new Map<string, NamespaceState>()
  readonly #values: ValueCache
  readonly #heads: BoundedCache<KeyState>
  readonly #namespaces: BoundedCache<NamespaceState>
  /** The last one that was asked for. */
  #last: NamespaceState | null = null
  #foldName: ((name: string) => string) | null = null
  /** The highest revision that is known of. */
  #revision = 0
  /** Keys whose revision was given to a found change, as long as they stay in memory for it. */
  readonly #found = new Set<KeyState>()
  /** The highest revision of those that may go: an entry that is found again has no lower one. */
  #foundRevision = 0

  constructor(backend: Backend, limits: Limits, isInUse: (state: NamespaceState) => boolean) {
    this.#backend = backend
    this.#keyBytesMax = limits.keyBytesMax
    this.#isInUse = isInUse
    this.#values = new ValueCache(limits.cacheBytesMax)
    this.#heads = new BoundedCache(limits.headBytesMax, (key) => this.#releaseKey(key))
    this.#namespaces = new BoundedCache(limits.headBytesMax, (state) => this.#release(state))
  }

  opened(revision: number, foldName: ((name: string) => string) | null): void {
    this.#revision = revision
    this.#foldName = foldName
  }

  find(name: string): NamespaceState | undefined {
    return this.#states.get(name)
  }

  get(name: string): NamespaceState {
    let state = this.#states.get(name)
    if (state === undefined) {
      state = new NamespaceState(name)
      this.#states.set(name, state)
      this.#namespaces.set(state, NAMESPACE_BYTES)
    }
    state.used = true
    this.#last = state
    return state
  }

  /** Null if it is loaded; otherwise a promise to wait for. */
  load(state: NamespaceState): Promise<void> | null {
    if (state.load.status === 'loaded') return null
    if (state.load.status === 'loading') return state.load.promise
    const promise = this.#load(state)
    state.load = { status: 'loading', promise }
    return promise
  }

  setHead(key: KeyState, answer: Exclude<HeadAnswer, UnreadableHead>): void {
    key.setLoaded(answer)
    if (key.head?.external === true && key.head.revision < this.#foundRevision) {
      key.head = { ...key.head, revision: this.#foundRevision }
    }
    this.account(key)
  }

  /**
   * The key's revision was given to a change that was found, and is written nowhere: the key stays in memory, one of a
   * bounded number. What is found again of one that had to go has a later revision, as if it had been changed: a session
   * that saw it may be told of a conflict that is none, but never misses one.
   */
  keepFound(key: KeyState): void {
    key.foundRevision = true
    this.#found.add(key)
    for (const oldest of this.#found) {
      if (this.#found.size <= FOUND_MAX) return
      this.#found.delete(oldest)
      oldest.foundRevision = false
      this.#foundRevision = Math.max(this.#foundRevision, oldest.head?.revision ?? 0)
    }
  }

  /** Somebody else has changed the key. */
  setFound(key: KeyState, head: Head | null): void {
    this.dropValue(key)
    if (head === null) key.namespace.names.remove(key.key)
    else key.namespace.names.add(key.key)
    this.setHead(key, head)
  }

  setWritten(key: KeyState, head: Head, value: Uint8Array): void {
    const namespace = key.namespace
    if (key.head === null) namespace.names.add(key.key)
    if (key.foundRevision) this.#found.delete(key)
    key.setWritten(head)
    this.account(key)
    this.setValue(key, value)
    this.#changed(namespace, head.revision)
  }

  setDeleted(key: KeyState, revision: number, by: KeyState['deletedBy']): void {
    key.namespace.names.remove(key.key)
    if (key.foundRevision) this.#found.delete(key)
    key.setDeleted(by)
    this.dropValue(key)
    this.account(key)
    this.#changed(key.namespace, revision)
  }

  setCreated(state: NamespaceState, revision: number): void {
    state.exists = true
    this.#changed(state, revision)
  }

  setRemoved(state: NamespaceState, revision: number): void {
    state.exists = false
    state.names.clear()
    for (const key of state.keys.values()) {
      // Who deleted a key before is still who changed it last.
      if (key.head === null) continue
      if (key.foundRevision) this.#found.delete(key)
      key.setDeleted(null)
      this.dropValue(key)
    }
    this.#changed(state, revision)
  }

  setValue(key: KeyState, value: Uint8Array): void {
    this.#values.set(key, value)
  }

  dropValue(key: KeyState): void {
    this.#values.drop(key)
  }

  /** Makes sure that the key's state is counted, and lives in the namespace that it belongs to. */
  account(key: KeyState): void {
    this.#heads.set(key, HEAD_BYTES + key.key.length)
  }

  /** Called when nothing is half done: lets go of what is too much. */
  trim(): void {
    this.#values.trim()
    this.#heads.trim()
    this.#namespaces.trim()
  }

  async #load(state: NamespaceState): Promise<void> {
    try {
      const { exists, keys } = await this.#backend.load(state.name)
      state.exists = exists
      state.names = new Names(
        keys.filter((key) => this.#isReachable(key)),
        this.#foldName,
      )
      state.lastRevision = this.#revision
      state.inHistory.compactedRevision = this.#revision
      state.load = { status: 'loaded' }
      this.#namespaces.set(state, state.names.bytes + NAMESPACE_BYTES)
    } catch (error) {
      state.load = { status: 'unloaded' }
      throw error
    }
  }

  /** No session takes a longer key, so none is listed. */
  #isReachable(key: string): boolean {
    return key.length * 3 <= this.#keyBytesMax || utf8Length(key) <= this.#keyBytesMax
  }

  /** In the whole store the changes of different namespaces need not come in the order of their revisions. */
  #changed(state: NamespaceState, revision: number): void {
    if (revision > state.lastRevision) state.lastRevision = revision
    if (revision > this.#revision) this.#revision = revision
    this.#namespaces.set(state, state.names.bytes + NAMESPACE_BYTES)
  }

  #releaseKey(key: KeyState): boolean {
    if (key.pins > 0 || key.foundRevision) return false
    this.dropValue(key)
    if (key.namespace.keys.get(key.key) === key) key.namespace.keys.delete(key.key)
    return true
  }

  #release(state: NamespaceState): boolean {
    // One that is larger than the bound would otherwise be loaded anew for every call.
    if (state === this.#last) return false
    if (state.users > 0 || state.load.status === 'loading' || this.#isInUse(state)) return false
    for (const key of state.keys.values()) if (key.pins > 0 || key.foundRevision) return false
    for (const key of state.keys.values()) {
      this.dropValue(key)
      this.#heads.delete(key)
    }
    this.#states.delete(state.name)
    return true
  }
}

/** About 3 MiB of keys that can't be let go. */
export const FOUND_MAX = 10_000
/** What the bookkeeping takes, roughly, besides the texts: of a key its state, its head and its entry in the namespace's map. */
const HEAD_BYTES = 320
const NAMESPACE_BYTES = 1000
