/** What a store counts of itself. All counts begin when it is opened, and only grow, unless they say what is so now. */
import type { ConflictPolicy, Writer } from './api.js'
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
  /** Milliseconds for which the oldest commit group under way has waited for the backend's answer, now; 0: none is. */
  readonly commitWaitMs: number
  /** Milliseconds for which a namespace whose requests could be taken waited for its commit group. */
  readonly queueWaitMs: HistogramCounts
  /** What waits now to be committed. */
  readonly queue: { readonly operations: number; readonly bytes: number }
  /** Reads that memory answered, and those that the backend was asked for. */
  readonly reads: { readonly memory: number; readonly backend: number }
  /**
   * Events that an iterator in this thread dropped because its buffer was full; of these, those of which whoever iterates has
   * not learned yet, now; and those that wait in an iterator, now.
   */
  readonly events: { readonly missed: number; readonly untold: number; readonly waiting: number }
  /**
   * Keys of which an update has its turn, updates that wait for theirs, and for how many milliseconds the longest has had it,
   * now. `holders` are the few who keep others waiting for longest, then who have had their turn for longest; a connection is
   * told of its namespaces only.
   */
  readonly updates: {
    readonly held: number
    readonly waiting: number
    readonly longestMs: number
    readonly holders: readonly HeldUpdate[]
  }
  /** Connections of other threads and processes that are open now. */
  readonly connections: number
  /** Null where the backend counts nothing. */
  readonly backend: BackendMetrics | null
}

/** An update that has its turn: other updates of the key wait until its function and its write have ended. */
export interface HeldUpdate {
  readonly namespace: string
  readonly key: string
  readonly writer: Writer | null
  /** Its function runs elsewhere: in another thread or process than the store. */
  readonly isConnected: boolean
  readonly heldMs: number
  /** Milliseconds since 1970. */
  readonly sinceMs: number
  /** Updates of the key that wait for their turn. */
  readonly waiting: number
}

/** What the file backend counts. */
export interface BackendMetrics {
  /** Bytes appended to the journal, and milliseconds that writing a frame and syncing it took. */
  readonly journalBytes: number
  readonly appendMs: HistogramCounts
  readonly syncMs: HistogramCounts
  /** Of the last half to whole minute. */
  readonly recentSyncMs: HistogramCounts
  /** Milliseconds since the journal found no room on the disk, now; 0: it has found some since, or has not looked for a minute. */
  readonly noRoomMs: number
  /** What is durable and not in the tree, now. */
  readonly backlogKeys: number
  readonly backlogBytes: number
  /** How full the backlog is: at 1 writers wait. */
  readonly backlogFill: number
  /** Keys that can't be brought into the tree, now. */
  readonly stuckKeys: number
  /** Milliseconds for which a worker has been at bringing keys into the tree, now: the longest of them; 0: none is. */
  readonly materializingMs: number
  /** Keys brought into the tree. */
  readonly materialized: number
}
