/**
 * NamespaceState owns what is known of one namespace in memory: whether it exists, its names, the heads of the keys
 * that were touched, and the values that happen to be cached. All of it is committed state (I2). The coordinator is
 * the only one that changes it, and drops it as a whole when the namespace is not in use.
 */
import type { Writer } from '../api.js'
import type { Head, HeadAnswer, UnreadableHead } from '../backend/backend.js'
import type { AgentStateError } from '../errors.js'
import type { KeyView } from './conflict.js'
import { Names } from './names.js'

export type CachedValue = string | Uint8Array

/** A key that was touched. `head`: null if the key is missing, undefined if that was not looked up yet. */
export class KeyState {
  readonly key: string
  readonly namespace: NamespaceState
  head: Head | null | undefined
  /** Path of the metadata that can't be read. */
  corruptMetadata: string | null = null
  /** Of a missing key: the revision of its deletion and who made it, as far as known. */
  deletedBy: Writer | null = null
  value: CachedValue | undefined
  /** Why the head could not be looked up; whoever needs it is told, and the next one asks again. */
  loadError: AgentStateError | null = null
  /** The revision was given to a change that was found, and is written nowhere: the state stays in memory. */
  foundRevision = false
  /** Operations that are queued on the key. */
  pins = 0
  used = false

  constructor(key: string, namespace: NamespaceState, head: Head | null | undefined) {
    this.key = key
    this.namespace = namespace
    this.head = head
  }

  setLoaded(answer: Exclude<HeadAnswer, UnreadableHead>): void {
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
    this.head = head
    this.corruptMetadata = null
    this.deletedBy = null
    this.foundRevision = false
  }

  setDeleted(by: Writer | null): void {
    this.head = null
    this.corruptMetadata = null
    this.deletedBy = by
    this.foundRevision = false
  }

  /** What the conflict rules look at. Only for a key whose head was looked up. */
  view(): KeyView {
    const head = this.head
    if (head === undefined) throw new Error(`the head of '${this.key}' was not loaded`)
    if (head === null) return { revision: null, identity: null, changedBy: this.deletedBy }
    return {
      revision: head.revision,
      identity: head.writer,
      changedBy: changedBy(head),
    }
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

export class NamespaceState {
  readonly name: string
  load: LoadState = { status: 'unloaded' }
  exists = false
  names: Names = new Names([], null)
  readonly keys = new Map<string, KeyState>()
  /** Revision of the last change that is known; changes up to `compactedRevision` are not in the history. */
  lastRevision = 0
  compactedRevision = 0
  /** Watchers, update turns and reads under way: the state stays in memory meanwhile. */
  users = 0
  used = false

  constructor(name: string) {
    this.name = name
  }

  /** The state of a key, made if need be. A key that is not among the names is known to be missing. */
  key(key: string): KeyState {
    let state = this.keys.get(key)
    if (state === undefined) {
      state = new KeyState(key, this, this.names.has(key) ? undefined : null)
      this.keys.set(key, state)
    }
    return state
  }
}
