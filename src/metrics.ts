/** What a store counts of itself. All counts begin when it is opened, and only grow, unless they say what is so now. */
import type { ConflictPolicy } from './api.js'
import type { HistogramCounts } from './histogram.js'

export interface StoreMetrics {
  /** Milliseconds since the store was opened. */
  readonly uptimeMs: number
  /** Keys that were written and deleted, once these changes were durable. */
  readonly writes: number
  readonly deletes: number
  /** Requests that were refused when their turn came: conflicts, conditions, clashing paths, namespaces that are gone. */
  readonly refused: number
  /** Conflicts that were found, by the policy of whoever caused them. */
  readonly conflicts: Readonly<Record<ConflictPolicy, number>>
  /** Operations in a commit group. */
  readonly groupOperations: HistogramCounts
  /** Milliseconds from the beginning of a commit group to the backend's answer. */
  readonly commitMs: HistogramCounts
  /** Milliseconds for which a namespace whose requests could be taken waited for its commit group. */
  readonly queueWaitMs: HistogramCounts
  /** What waits now to be committed. */
  readonly queue: { readonly operations: number; readonly bytes: number }
  /** Reads that memory answered, and those that the backend was asked for. */
  readonly reads: { readonly memory: number; readonly backend: number }
  /** Events that an iterator in this thread dropped because its buffer was full, and those that wait in one now. */
  readonly events: { readonly missed: number; readonly waiting: number }
  /** Connections of other threads and processes that are open now. */
  readonly connections: number
  /** Null where the backend counts nothing. */
  readonly backend: BackendMetrics | null
}

/** What the file backend counts. */
export interface BackendMetrics {
  /** Bytes appended to the journal, and milliseconds that writing a frame and syncing it took. */
  readonly journalBytes: number
  readonly appendMs: HistogramCounts
  readonly syncMs: HistogramCounts
  /** What is durable and not in the tree, now. */
  readonly backlogKeys: number
  readonly backlogBytes: number
  /** How full the backlog is: at 1 writers wait. */
  readonly backlogFill: number
  /** Keys that can't be brought into the tree, now. */
  readonly stuckKeys: number
  /** Keys brought into the tree. */
  readonly materialized: number
}
