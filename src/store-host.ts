/**
 * What stores and sessions ask, whoever answers: the coordinator of this thread, or a connection to one in another
 * thread. What reaches a host was checked and encoded by the session.
 */
import type {
  ConflictEvent,
  DeleteResult,
  Page,
  Value,
  WatchItem,
  WatchOptions,
  WriteResult,
  Writer,
} from './api.js'
import type { Head } from './backend/backend.js'
import type { ByteSlab } from './byte-slab.js'
import type { ChangeTerms, OperationResult, RequestAnswer, RequestBody } from './requests.js'
import type { SeenKeys } from './seen-keys.js'
import type { Limits } from './limits.js'

/** What a caller learns of an entry besides its value. */
export type KnownHead = Pick<Head, 'revision' | 'writer' | 'size' | 'updatedAtMs' | 'external'>

/** Head and value of one moment. */
export interface FoundEntry {
  readonly head: KnownHead
  readonly value: Uint8Array
}

/** A change that an update wants to make of what it read; undefined: none. */
export interface UpdateStep {
  /** Of the change that `submit` makes. */
  readonly terms: ChangeTerms
  /** Called with what is there, and again if somebody else wrote before the change was made. */
  decide(found: FoundEntry | null): Promise<Value | null | undefined>
  submit(value: Value | null, found: FoundEntry | null): Promise<OperationResult>
}

export type HostState = 'open' | 'failed' | 'closed'

/** What taking values over needs. */
export interface TakingHost {
  readonly limits: Limits
  /** Where bytes are copied to that were passed. */
  readonly slab: ByteSlab
}

export interface SessionHost extends TakingHost {
  /** Throws unless new calls are taken. */
  checkOpen(): void
  /** Throws `NOT_ALLOWED` where one has to write as somebody else. */
  checkWriter(writer: Writer | null): void
  /** Asks for a change. What it makes of the keys is noted in `seen`. */
  submit(
    namespace: string,
    body: RequestBody,
    bytes: number,
    seen: SeenKeys | null,
    signal: AbortSignal | undefined,
  ): Promise<RequestAnswer>
  read(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<FoundEntry | null> | FoundEntry | null
  head(namespace: string, key: string, signal: AbortSignal | undefined): Promise<KnownHead | null>
  /** Keys in UTF-8 byte order. */
  list(namespace: string, page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]>
  /** Runs an update in its turn: read, decide, write if nobody else did; else again. */
  update(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
    step: UpdateStep,
  ): Promise<WriteResult | DeleteResult | null>
  watch(namespace: string, options: WatchOptions): AsyncIterable<WatchItem>
}

export interface StoreHost extends SessionHost {
  readonly state: HostState
  exists(namespace: string, signal: AbortSignal | undefined): Promise<boolean>
  /** Names in UTF-8 byte order. */
  namespaces(page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]>
  flush(signal: AbortSignal | undefined): Promise<void>
  /** Past conflicts that the caller may know of, oldest first. */
  conflicts(signal: AbortSignal | undefined): Promise<readonly ConflictEvent[]>
}
