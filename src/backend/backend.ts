/**
 * The contract between the coordinator, which decides, and a backend, which makes decisions durable.
 *
 * - `commit` answers every plan; one plan that can't be committed never fails another.
 * - The backend assigns revisions: per namespace strictly increasing, never reused, also across deletes and restarts.
 * - What `commit` has not answered is never shown by `load`, `heads` or `read`.
 * - A backend with `supports.exclusive` is the only one that changes its state, so it never answers `stale`.
 */
import type { Writer } from '../api.js'
import type { AgentStateError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { BackendMetrics } from '../metrics.js'

/** What is stored of an entry besides its value. */
export interface Head {
  readonly revision: number
  /** The last named writer; an anonymous change keeps it. */
  readonly writer: Writer | null
  /** When `writer` wrote, in seconds since 1970; null if it is not known. */
  readonly writerAtS: number | null
  /** The last change had no identity. */
  readonly anonymous: boolean
  /** The last change was not made by this store. */
  readonly external: boolean
  /** Of the value, in bytes. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly updatedAtMs: number
  /** Of an external entry: tells one content from another, so that the same one is not reported twice. */
  readonly fingerprint?: string
}

/** The metadata of an entry can't be read; its value can. */
export interface CorruptHead {
  readonly corrupt: string
  readonly head: Head
}

/** The medium refused to tell; the key may be there or not. */
export interface UnreadableHead {
  readonly unreadable: AgentStateError
}

export type HeadAnswer = Head | CorruptHead | UnreadableHead | null

/** `error` is set instead of a value where the value is known to be damaged. */
export interface ReadAnswer {
  readonly head: HeadAnswer
  readonly value: Uint8Array | null
  readonly error?: AgentStateError
}

export type Change =
  | {
      readonly kind: 'write'
      readonly key: string
      /** Nobody changes these bytes any more. They may lie in memory with others. */
      readonly value: Uint8Array
      readonly size: number
      /** The identity to store: the last named writer, after this change. */
      readonly writer: Writer | null
      readonly writerAtS: number | null
      readonly anonymous: boolean
    }
  | { readonly kind: 'delete'; readonly key: string }

/** What gets one revision, all or nothing. */
export type Unit =
  | { readonly kind: 'create' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'change'; readonly changes: readonly Change[] }

/** Units of one namespace, in order. They are committed together; unit i gets the first one's revision plus i. */
export interface Plan {
  readonly namespace: string
  readonly units: readonly Unit[]
  /** When the plan was made, in milliseconds since 1970. */
  readonly atMs: number
  /** Revision of every key that the plan was decided on; null: missing. Only a shared backend looks at it. */
  readonly expected: ReadonlyMap<string, number | null>
}

export type CommitOutcome =
  | { readonly status: 'committed'; readonly revision: number }
  | { readonly status: 'stale'; readonly heads: ReadonlyMap<string, Head | null> }
  /** Nothing changed. `deletesOnly`: the same plan without its writes would be taken. */
  | { readonly status: 'rejected'; readonly error: AgentStateError; readonly deletesOnly?: boolean }
  | { readonly status: 'unknown'; readonly revision: number | null; readonly cause: unknown }

/** What a backend tells its store. */
export interface BackendHost {
  readonly limits: Limits
  /** No further write will be acknowledged. */
  failed(error: AgentStateError): void
  warning(code: string, message: string): void
  external(namespace: string, key: string, preservedAs: string | null): void
}

export interface BackendSupports {
  /** Nobody else changes the state while it is open here. */
  readonly exclusive: boolean
  /** Commits that may be under way at once; 1 or more. */
  readonly commitsInFlight: number
}

export interface OpenAnswer {
  /** Highest revision that may have been assigned so far; 0 if none. */
  readonly revision: number
  /** Set after an unclean end. */
  readonly recovered: { readonly operations: number; readonly preserved: number } | null
  /**
   * Set where the medium takes different names for one (case, normalization): two names are the same to it if this
   * function gives the same result for both.
   */
  readonly foldName: ((name: string) => string) | null
}

export interface Backend {
  readonly name: string
  readonly supports: BackendSupports
  /** Called once before anything else. A backend that keeps its state in memory may be opened again after `close`. */
  open(host: BackendHost): Promise<OpenAnswer>
  /** Null, or a promise to wait for before the next `commit`: the backlog is full. It never rejects. */
  ready(): Promise<void> | null
  /** One outcome a plan, in the plans' order. Never rejects. */
  commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]>
  /** What it counts, where it counts something. */
  metrics?(): BackendMetrics
  /** The log of past conflicts, a text each, as it was last saved; where it is kept. */
  loadConflicts?(): Promise<readonly string[]>
  saveConflicts?(lines: readonly string[]): Promise<void>
  /**
   * A revision for a change that was found, not made: greater than all before, never reused. No commit of the namespace is
   * under way meanwhile.
   */
  allocateRevision(): number
  /** All namespaces, in any order. */
  namespaces(): Promise<readonly string[]>
  /** Whether the namespace exists, and its keys in any order. No commit of the namespace is under way meanwhile. */
  load(namespace: string): Promise<{ readonly exists: boolean; readonly keys: readonly string[] }>
  heads(namespace: string, keys: readonly string[]): Promise<readonly HeadAnswer[]>
  /** Head and value of one moment. */
  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]>
  /** Resolves when the tree shows this revision or a later one of the keys; rejects with `TREE_PENDING`. */
  materialized(namespace: string, keys: readonly string[], revision: number): Promise<void>
  /** Resolves when the tree shows everything committed so far; rejects with `TREE_STUCK`. */
  flush(onProgress?: (done: number, total: number) => void): Promise<void>
  /** No call follows. Resolves with false if the tree could not be brought up to date. */
  close(options: { flush: boolean; onProgress?: (done: number, total: number) => void }): Promise<boolean>
}
