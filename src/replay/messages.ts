/** What the supervisor and the replaying child process say to each other. */
import type { Limits } from '../index.js'

/** Where a history is read from, the same way by both processes. */
export interface Source {
  /** A trace file. */
  readonly trace: string
  /** Only so many commits of it; null: all. */
  readonly limit: number | null
  /** Where the contents are; null: they are made up. */
  readonly repository: string | null
}

export interface Job {
  readonly source: Source
  readonly root: string
  readonly limits: Partial<Limits>
  /** Commits that may be under way at once. */
  readonly inFlight: number
  /** That the agents live in; 0: the store's own. */
  readonly threads: number
}

/** The last commit whose part in a namespace is durable. */
export interface Progress {
  readonly namespace: string
  readonly commit: number
  /** Of the batch that it was. */
  readonly revision: number
}

/** A writer met a version that it had not seen. */
export interface Overwrite {
  readonly namespace: string
  readonly key: string
  readonly by: string
  /** Null: nobody is known; the key had been deleted. */
  readonly over: string | null
}

export interface Acknowledgement extends Progress {
  readonly operations: number
  readonly overwrites: readonly Overwrite[]
  /** Where the store reported another conflict than the history has; must be none. */
  readonly wrongConflicts: readonly string[]
}

/** What a process found in a namespace before it went on there. */
export interface Audit {
  readonly namespace: string
  /** The last durable one. */
  readonly commit: number
  readonly files: number
  /** From what the history has after that commit; must be none. */
  readonly differences: readonly string[]
}

export type ToChild = { readonly type: 'start'; readonly job: Job } | { readonly type: 'finish' }

export type FromChild =
  /** Sent once after opening: what a child before this one, or nobody, had made durable. */
  | { readonly type: 'resumed'; readonly progress: readonly Progress[] }
  | { readonly type: 'audited'; readonly audit: Audit }
  | { readonly type: 'acknowledged'; readonly batches: readonly Acknowledgement[] }
  /** Every batch was acknowledged; the child waits for `finish`. */
  | { readonly type: 'replayed'; readonly progress: readonly Progress[] }
  /** Everything is in the tree, and the store is closed. */
  | { readonly type: 'finished' }
  | { readonly type: 'failed'; readonly message: string }
