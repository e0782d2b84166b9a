/**
 * The public types. Everything a user holds or passes is declared here; the modules that implement it import from
 * here, never the other way round.
 */
import type { MessagePort } from 'node:worker_threads'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AgentStateError } from './errors.js'
import type { Backend } from './backend/backend.js'
import type { Health } from './health.js'
import type { Limits } from './limits.js'
import type { StoreMetrics } from './metrics.js'

export type Schema = StandardSchemaV1
export type SchemaOutput<S extends Schema> = StandardSchemaV1.InferOutput<S>

/** A text is stored as UTF-8; bytes are stored as they are. */
export type Value = string | Uint8Array

/** What a conflicting write does: go through silently, go through with a `warning` event, or be refused. */
export type ConflictPolicy = 'ignore' | 'warn' | 'error'

/**
 * What counts as a conflict. `writer-change`: the stored and the current identity both have a writer id, and they
 * differ. `lost-update`: what this session saw of the key was changed since by somebody else; for a key this session
 * never saw, `writer-change` applies.
 */
export type ConflictRule = 'lost-update' | 'writer-change'

/** `journal`: resolved when the change survives a power cut. `tree`: and the files at the key's path show it. */
export type Durability = 'journal' | 'tree'

export interface Wait {
  /** Gives up waiting with the signal's reason. A change that is already being made durable is not taken back. */
  readonly signal?: AbortSignal | undefined
}

/** Who writes. Without `writerId` it is taken from `workerId`, `stageId` or `sessionId`, in this order. */
export interface Writer {
  readonly writerId?: string | undefined
  readonly stageId?: string | undefined
  readonly sessionId?: string | undefined
  readonly workerId?: string | undefined
}

export interface WriteOptions extends Wait {
  /** Default `ignore`. */
  readonly conflictPolicy?: ConflictPolicy | undefined
  /** Default `lost-update`. */
  readonly detect?: ConflictRule | undefined
  /** Default `journal`. */
  readonly durability?: Durability | undefined
  /** Replaces metadata that cannot be read instead of rejecting with `METADATA_CORRUPT`. Default false. */
  readonly repairMetadata?: boolean | undefined
}

/** Given to `openStore`, `init`, `resume` or `with`; a narrower setting replaces a wider one whole. */
export interface Defaults extends WriteOptions {
  readonly writer?: Writer | undefined
}

export interface If {
  /** Proceed only if the key's revision is this one; `null`: only if the key is missing. */
  readonly ifRevision?: number | null | undefined
  /**
   * What the writer had seen of the key, instead of what this session remembers: a revision, or `null` for a missing
   * key. Only looked at by `detect: 'lost-update'`.
   */
  readonly seenRevision?: number | null | undefined
}

export interface Page extends Wait {
  /** Plain string prefix of the key, not a path component. Default: all. */
  readonly prefix?: string | undefined
  /** Start behind this name (in the direction of the listing). */
  readonly after?: string | undefined
  /** At most this many. Default: all. */
  readonly limit?: number | undefined
  /** Descending order. Default false. */
  readonly reverse?: boolean | undefined
}

export interface FileModes {
  /** Permission bits of files, default 0o600. */
  readonly file: number
  /** Permission bits of directories, default 0o700. */
  readonly directory: number
}

interface CommonOpenOptions extends Defaults {
  readonly limits?: Partial<Limits> | undefined
}

export interface FileOpenOptions extends CommonOpenOptions {
  /** The directory that holds the state; made if it is missing. */
  readonly root: string
  readonly backend?: undefined
  /** How long to wait for another owner of the root to go, in milliseconds. Default 0. */
  readonly ownerWaitMs?: number | undefined
  /** Threads that write the tree, made when there is enough for them to do. Default 4. */
  readonly workers?: number | undefined
  /** The compiled worker entry, where a bundler has moved it. */
  readonly workerUrl?: URL | undefined
  /** Permissions of what the store makes in a root. Default 0o600 and 0o700. */
  readonly mode?: FileModes | undefined
  /**
   * Keeps the store in a thread of its own, so that work in the opener's thread delays no other agent. The opener is then
   * one connection among others; its `close` closes the store. Default false.
   */
  readonly ownThread?: boolean | undefined
  /** The compiled entry of that thread, where a bundler has moved it. */
  readonly threadUrl?: URL | undefined
  /**
   * Lets other processes of the same user connect (`connectStore({ root })`), by a local socket in the root that nobody else
   * may open. Default true.
   */
  readonly socket?: boolean | undefined
}

export interface BackendOpenOptions extends CommonOpenOptions {
  readonly backend: Backend
  readonly root?: undefined
}

export type OpenOptions = FileOpenOptions | BackendOpenOptions

export interface CloseOptions extends Wait {
  /**
   * Wait until the tree shows everything that was acknowledged, which takes a while for thousands of new keys. Default true;
   * otherwise the next open does it.
   */
  readonly flush?: boolean | undefined
  /** Called while flushing, with the number of keys done and the number known to be needed. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What the other side of a port may do. */
export interface PortBounds {
  /** Only these, at most 10,000; a new namespace without a name can't be made then. Default: all. */
  readonly namespaces?: readonly string[] | undefined
  /** Nothing may be changed. Default false. */
  readonly readOnly?: boolean | undefined
  /** Writes as this one, always. Default: as whom it likes. */
  readonly writer?: Writer | undefined
}

export interface Store extends AsyncDisposable {
  readonly state: 'open' | 'failed' | 'closed'
  /**
   * What happens in the whole store, whoever does it: `conflict`, `change`, `external`, `warning`, `failed`, `recovered` and
   * `closed`, in commit order and never before the change is durable. Listening does not keep the process alive.
   *
   * @example
   * ```ts
   * const stop = store.events.on('conflict', ({ key, current, previous }) => {
   *   console.log(`${displayName(current)} came after ${displayName(previous)} on ${key}`)
   * })
   * ```
   */
  readonly events: Events
  /** Creates a namespace or reopens it; without a name a UUIDv7. Durable when it resolves. */
  init(options?: Defaults): Promise<Session>
  init(namespace: string, options?: Defaults): Promise<Session>
  /** Reopens a namespace; `NAMESPACE_NOT_FOUND` if there is none. */
  resume(namespace: string, options?: Defaults): Promise<Session>
  /** Names in UTF-8 byte order. */
  namespaces(page?: Page): AsyncIterable<string>
  /** Deletes a namespace with all its keys; false if there was none. */
  remove(namespace: string, options?: Wait): Promise<boolean>
  /**
   * A port for another thread, where `connectStore(port)` gives this store, within the bounds. A connection can give on
   * no more than it has. Close the port if it is not used.
   */
  createPort(bounds?: PortBounds): MessagePort
  /** Waits until the tree shows everything acknowledged so far; `TREE_STUCK` if a key's files can't be written. */
  flush(options?: Wait): Promise<void>
  /** What the whole store has counted since it was opened, whichever connection asks. Rejects with `STORE_CLOSED`. */
  metrics(): Promise<StoreMetrics>
  /**
   * Past conflicts, oldest first: the last `conflictLogMax` of this and earlier openings (of those, the file backend keeps
   * them). After a crash the last seconds may be missing.
   */
  conflicts(filter?: ConflictFilter): Promise<readonly ConflictEvent[]>
  /**
   * In words, what is wrong with the store now: a disk that does not answer or is full, an update that keeps its key, files that
   * lag. A connection whose store gives no answer says so after three seconds.
   */
  health(): Promise<Health>
  /**
   * Finishes what was admitted, rejects the rest with `STORE_CLOSED`, flushes, releases the root. Idempotent. Of a
   * connection: finishes what was asked through it and flushes; the store stays open. A signal ends the waiting only.
   */
  close(options?: CloseOptions): Promise<void>
}

export interface Stat {
  readonly key: string
  readonly revision: number
  /** The last named writer of the key. */
  readonly writer: Writer | null
  /** In bytes. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly updatedAtMs: number
  /** The entry was last changed by something else than this store. */
  readonly external: boolean
}

export interface Entry extends Stat {
  readonly value: Uint8Array
}

export interface Conflict {
  readonly namespace: string
  readonly key: string
  readonly rule: ConflictRule
  readonly current: Writer
  /** Who made the change that is in the way; null if it was anonymous, external or a deletion by somebody unknown. */
  readonly previous: Writer | null
  /** Revision found; null if the key is missing. */
  readonly previousRevision: number | null
  /** Revision that this session saw last; null if it never saw the key or saw it missing. */
  readonly seenRevision: number | null
}

export interface WriteResult {
  readonly key: string
  readonly revision: number
  readonly conflict: Conflict | null
}

export interface DeleteResult {
  readonly key: string
  readonly deleted: boolean
  readonly revision: number | null
  readonly conflict: Conflict | null
}

export type Operation = If & ({ readonly write: string; readonly value: Value } | { readonly delete: string })

export type Results<O extends readonly Operation[]> = {
  [I in keyof O]: O[I] extends { readonly write: string }
    ? WriteResult
    : O[I] extends { readonly delete: string }
      ? DeleteResult
      : WriteResult | DeleteResult
}

export type Next<T> = T | undefined | Promise<T | undefined>

export interface WatchOptions extends Wait {
  /** Plain string prefix of the key. Default: all. */
  readonly prefix?: string | undefined
  /**
   * Start with the changes after this revision, as far as they are still in memory (`REVISION_COMPACTED`). That of `ready`
   * leaves nothing out; nor does that of a change, once all changes with this revision were taken: those of a batch share it.
   */
  readonly afterRevision?: number | undefined
  /** Start with what is there (`initial` items, then one `ready`), without a gap to the changes. Default false. */
  readonly initial?: boolean | undefined
}

/** A light handle for one namespace and one writer; needs no closing. */
export interface Session {
  readonly namespace: string
  readonly writer: Writer | null
  /** The same namespace with other defaults, and with its own memory of what it saw. */
  with(overrides: Defaults): Session
  /** The text, or null if the key is missing; `NOT_UTF8` if it is not text. A byte order mark is kept. */
  read(key: string, options?: Wait): Promise<string | null>
  /** The bytes (a copy), or null if the key is missing. */
  readBytes(key: string, options?: Wait): Promise<Uint8Array | null>
  /** The parsed and validated JSON; `SCHEMA_MISMATCH` if it is not JSON or does not fit the schema. */
  readJson<S extends Schema>(key: string, schema: S, options?: Wait): Promise<SchemaOutput<S> | null>
  readJson(key: string, options?: Wait): Promise<unknown>
  /** Value, revision and writer of one moment. */
  entry(key: string, options?: Wait): Promise<Entry | null>
  /** As `entry`, without the value; does not count as having seen it. */
  stat(key: string, options?: Wait): Promise<Stat | null>
  /**
   * Stores a text (as UTF-8) or bytes (copied at once). Resolves when the change survives a power cut (`durability: 'tree'`: and
   * the file shows it) with the revision, and the conflict if there was one: by default the write goes through all the same.
   * Rejects and changes nothing with `CONFLICT` (policy `error`), `REVISION_MISMATCH` (`ifRevision`), `NAMESPACE_NOT_FOUND` (it
   * was removed), and others; only after `OUTCOME_UNKNOWN` the change may have been made.
   *
   * @example
   * ```ts
   * const { revision, conflict } = await session.write('plan.md', '# Plan')
   * await session.write('plan.md', '# Plan 2', { ifRevision: revision })
   * ```
   */
  write(key: string, value: Value, options?: WriteOptions & If): Promise<WriteResult>
  /** Writes pretty-printed JSON with a final newline. */
  writeJson(key: string, value: unknown, options?: WriteOptions & If): Promise<WriteResult>
  /** Idempotent: deleting what is missing has no revision, no event and no conflict. */
  delete(key: string, options?: WriteOptions & If): Promise<DeleteResult>
  /**
   * Reads, calls `fn`, writes what it returns, and starts again if somebody wrote in between. Updates of one key take
   * turns. `fn` must have no side effects; `undefined` changes nothing, `null` deletes.
   */
  update(
    key: string,
    fn: (value: string | null) => Next<Value | null>,
    options?: WriteOptions,
  ): Promise<WriteResult | DeleteResult | null>
  updateJson<S extends Schema>(
    key: string,
    schema: S,
    fn: (value: SchemaOutput<S> | null) => Next<SchemaOutput<S> | null>,
    options?: WriteOptions,
  ): Promise<WriteResult | DeleteResult | null>
  /** All or nothing, with one revision; a key may occur once. */
  batch<const O extends readonly Operation[]>(operations: O, options?: WriteOptions): Promise<Results<O>>
  /** Keys in UTF-8 byte order. */
  list(page?: Page): Promise<string[]>
  /** The entries of these keys, each of the moment in which it is read; what was deleted meanwhile is left out. */
  entries(page?: Page): AsyncIterable<Entry>
  /**
   * Changes of the namespace from this call on, in commit order. They carry no value: read it, it may be newer. Iterating does
   * not keep the process alive.
   */
  watch(options?: WatchOptions): AsyncIterable<WatchItem>
  /** Writes the namespace's handover document, `__handoff.json`. */
  writeHandoff(summary: Readonly<Record<string, unknown>>, options?: WriteOptions): Promise<WriteResult>
  /** The handover document, or null; `SCHEMA_MISMATCH` if what is there is none. */
  readHandoff(options?: Wait): Promise<Handoff | null>
}

export interface Handoff {
  readonly session_id: string
  readonly version: 1
  readonly summary: Record<string, unknown>
  /** The typed part, when the summary has its shape; otherwise null. */
  readonly handoff: Record<string, unknown> | null
  readonly writer: unknown
  /** Seconds since 1970. */
  readonly written_at: number
}

export interface Change {
  readonly namespace: string
  readonly key: string
  readonly kind: 'write' | 'delete'
  readonly revision: number
  /** Who made this change; null if it was anonymous. */
  readonly writer: Writer | null
}

export type WatchItem =
  ({ readonly type: 'initial' | 'change' } & Change) | { readonly type: 'ready'; readonly revision: number }

/** A conflict, and what became of the change that caused it. */
export interface ConflictEvent extends Conflict {
  readonly policy: ConflictPolicy
  readonly outcome: 'written' | 'deleted' | 'refused'
  /** Of the change; null if it was refused. */
  readonly revision: number | null
  /** Milliseconds since 1970. */
  readonly atMs: number
}

export interface ConflictFilter extends Wait {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined
}

export interface EventMap {
  /**
   * A change met one that its writer had not seen (`detect` says what counts). Published under every policy, when the change is
   * durable, or refused.
   */
  conflict: ConflictEvent
  /** One key was written or deleted, once that is durable, in commit order; a batch gives one for each of its keys. */
  change: Change
  /** A file that was not written by the store was found; `preservedAs` names the copy kept of a hand edit. */
  external: { readonly namespace: string; readonly key: string; readonly preservedAs: string | null }
  /**
   * Something deserves a look, while the store goes on. If nobody listens in this thread, it becomes a warning of the process
   * (`AgentStateWarning`), with the same code:
   *
   * - `CONFLICT`: a conflict under the policy `warn`
   * - `EVENTS_LAGGED`: callbacks of a connection missed events: it was too slow, or a shared root got another owner
   * - `LISTENER_FAILED`: a listener threw or rejected
   * - `METADATA_CORRUPT`: a key's metadata can't be read
   * - `TREE_STUCK`: a key's files can't be written; it is durable, readable, and tried again
   * - `CHECKPOINT_FAILED`, `CLOSE_FAILED`, `SEGMENT_LEFT`: the store could not tidy up; the next opening does
   * - `CONFLICT_LOG_FAILED`: past conflicts could not be kept for later openings
   * - `SOCKET_UNAVAILABLE`: other processes can't connect
   */
  warning: { readonly code: string; readonly message: string; readonly namespace?: string }
  /**
   * A sync failed, or the root was taken away: from now on writes reject with `STORE_FAILED`, reads go on, and `state` is
   * `failed`. Close the store and open it again.
   */
  failed: { readonly error: AgentStateError }
  /** What an unclean end had left behind; published once, in the first turn of the event loop after opening. */
  recovered: { readonly operations: number; readonly preserved: number }
  /** The last event of a store; `flushed`: the files show everything that was acknowledged. */
  closed: { readonly flushed: boolean }
}

export interface Filter extends Wait {
  readonly namespace?: string | undefined
}

export interface Events {
  /** Calls the listener until the returned function is called or the signal aborts. */
  on<T extends keyof EventMap>(
    type: T,
    listener: (event: EventMap[T]) => unknown,
    filter?: Filter,
  ): () => void
  /**
   * Buffers from this call on; when the buffer is full, one `lagged` item counts what was dropped. Where a shared root got
   * another owner, `missed` is `Infinity`: nobody has counted.
   */
  iterate<T extends keyof EventMap>(
    type: T,
    filter?: Filter,
  ): AsyncIterable<
    ({ readonly type: T } & EventMap[T]) | { readonly type: 'lagged'; readonly missed: number }
  >
}
