/**
 * NamespaceState owns what is known of one namespace in memory: whether it exists, its names, the heads of the keys
 * that were touched, and the values that happen to be cached. All of it is committed state (I2). The coordinator is
 * the only one that changes it, and drops it as a whole when the namespace is not in use.
 */
import type { Writer } from '../api.js'
import type { Head, HeadAnswer, UnreadableHead } from '../backend/backend.js'
import type { AgentStateError } from '../errors.js'
import { appended } from '../appended.js'
import { Cacheable } from './bounded-cache.js'
import type { KeyView } from './conflict.js'
import type { HistoryPlace } from './history.js'
import { ownText } from '../utf8.js'
import { Names } from './names.js'
import type { ValueHolder, ValuePiece } from './value-cache.js'

/** A key that was touched, also as the conflict rules see it. There may be many: all that is known of one is kept in one object. */
export class KeyState extends Cacheable implements KeyView, ValueHolder {
  readonly key: string
  readonly namespace: NamespaceState
  /** Null if the key is missing, undefined if that was not looked up yet. */
  head: Head | null | undefined
  /** Path of the metadata that can't be read. */
  corruptMetadata: string | null = null
  /** Of a missing key: the revision of its deletion and who made it, as far as known. */
  deletedBy: Writer | null = null
  isValueUsed = false
  valuePiece: ValuePiece | null = null
  valueStart = 0
  valueSize = 0
  valueIndex = 0
  /** Why the head could not be looked up; whoever needs it is told, and the next one asks again. */
  loadError: AgentStateError | null = null
  /** The revision was given to a change that was found, and is written nowhere: the state stays in memory. */
  foundRevision = false
  /** Operations that are queued on the key. */
  pins = 0

  constructor(key: string, namespace: NamespaceState, head: Head | null | undefined) {
    super()
    this.key = key
    this.namespace = namespace
    this.head = head
  }

  setLoaded(answer: Exclude<HeadAnswer, UnreadableHead>): void {
    this.loadError = null
    if (answer !== null && 'corrupt' in answer) {
      this.head = answer.head
      this.corruptMetadata = answer.corrupt
    } else {
      this.head = answer
      this.corruptMetadata = null
    }
    this.deletedBy = null
  }

  setWritten(head: Head): void {
    this.loadError = null
    this.head = head
    this.corruptMetadata = null
    this.deletedBy = null
    this.foundRevision = false
  }

  setDeleted(by: Writer | null): void {
    this.loadError = null
    this.head = null
    this.corruptMetadata = null
    this.deletedBy = by
    this.foundRevision = false
  }

  get revision(): number | null {
    return this.#known()?.revision ?? null
  }

  get identity(): Writer | null {
    return this.#known()?.writer ?? null
  }

  get identityAtS(): number | null {
    return this.#known()?.writerAtS ?? null
  }

  get changedBy(): Writer | null {
    const head = this.#known()
    return head === null ? this.deletedBy : changedBy(head)
  }

  #known(): Head | null {
    if (this.head === undefined) throw new Error(`the head of '${this.key}' was not loaded`)
    return this.head
  }
}

/** Who made the last change, as far as the head tells. */
export function changedBy(head: Head): Writer | null {
  return head.anonymous || head.external ? null : head.writer
}

export type LoadState =
  | { readonly status: 'unloaded' }
  | { readonly status: 'loading'; readonly promise: Promise<void> }
  | { readonly status: 'loaded' }

export class NamespaceState extends Cacheable {
  readonly name: string
  load: LoadState = { status: 'unloaded' }
  exists = false
  names: Names = new Names([], null)
  readonly keys = new Map<string, KeyState>()
  /** Revision of the last change that is known. */
  lastRevision = 0
  readonly inHistory: HistoryPlace
  /** Watchers, update turns and reads under way: the state stays in memory meanwhile. */
  users = 0
  #isCommitting = false
  #afterCommit: (() => void)[] | null = null

  constructor(name: string) {
    super()
    this.name = name
    this.inHistory = { namespace: name, compactedRevision: 0 }
  }

  /** A plan is being committed: the revision that it will have may be given already. */
  get isCommitting(): boolean {
    return this.#isCommitting
  }

  beginCommit(): void {
    this.#isCommitting = true
  }

  /** Its outcome is in the state, or it had none. */
  endCommit(): void {
    this.#isCommitting = false
    if (this.#afterCommit === null) return
    for (const resolve of this.#afterCommit) resolve()
    this.#afterCommit = null
  }

  /** Resolves when the commit that is under way has ended; the next one may have begun then. */
  commitEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#afterCommit = appended(this.#afterCommit, resolve)
    })
  }

  /** The state of a key, made if need be. A key that is not among the names is known to be missing. */
  key(key: string): KeyState {
    let state = this.keys.get(key)
    if (state === undefined) {
      state = new KeyState(ownText(key), this, this.names.has(key) ? undefined : null)
      this.keys.set(state.key, state)
    }
    state.used = true
    return state
  }
}
