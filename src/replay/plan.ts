import { DEFAULT_LIMITS, type Limits } from '../index.js'
import type { Tree } from './history-tree.js'
import type { Overwrite } from './messages.js'
import type { Outline } from './outline.js'
import { overwrittenAuthor, Schedule, type Batch } from './schedule.js'
import type { Commit } from './trace.js'

/** What a replay of the whole history will do, known before it starts. */
export interface Plan {
  /** Of each namespace, one for each commit that touches it, in order. */
  readonly batches: ReadonlyMap<string, readonly PlannedBatch[]>
  readonly totals: Totals
  /** The files at the end. */
  readonly head: Tree
  /** Paths that were left out because a name in them is too long. */
  readonly skipped: ReadonlySet<string>
  /** The store's limits, raised where a commit needs more: its part in a namespace is one batch. */
  readonly limits: Partial<Limits>
}

export interface PlannedBatch {
  readonly commit: number
  /** Whom its author overwrites unseen. */
  readonly overwrites: readonly Overwrite[]
}

export interface Totals {
  readonly batches: number
  readonly writes: number
  readonly deletes: number
  /** Of the contents written. */
  readonly bytes: number
}

export async function makePlan(outline: Outline, commits: AsyncIterable<Commit>): Promise<Plan> {
  const schedule = new Schedule(outline)
  const batches = new Map<string, PlannedBatch[]>()
  const totals = { batches: 0, writes: 0, deletes: 0, bytes: 0 }
  const needs = new Needs()
  for await (const commit of commits) {
    for (const batch of schedule.add(commit)) {
      const planned = { commit: batch.commit, overwrites: overwritesOf(batch) }
      const earlier = batches.get(batch.namespace)
      if (earlier === undefined) batches.set(batch.namespace, [planned])
      else earlier.push(planned)
      addBatch(totals, batch)
      needs.add(batch)
    }
  }
  return { batches, totals, head: schedule.state, skipped: schedule.skipped, limits: needs.limits() }
}

function overwritesOf({ namespace, author, operations }: Batch): Overwrite[] {
  return operations.flatMap((operation) => {
    const over = overwrittenAuthor(operation, author)
    return over === null ? [] : [{ namespace, key: operation.key, by: author, over }]
  })
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function addBatch(totals: Mutable<Totals>, { operations, bytes }: Batch): void {
  const writes = operations.filter(({ content }) => content !== null).length
  totals.batches += 1
  totals.writes += writes
  totals.deletes += operations.length - writes
  totals.bytes += bytes
}

/** The key that says how far the replay has come, and its value, are part of every batch. */
const PROGRESS_OPERATIONS = 1
const PROGRESS_BYTES = 1024

/** The largest of everything that the store bounds. */
class Needs {
  readonly #largest = { operations: 0, batchBytes: 0, valueBytes: 0, keyBytes: 0 }

  add({ operations, bytes }: Batch): void {
    const largest = this.#largest
    largest.operations = Math.max(largest.operations, operations.length + PROGRESS_OPERATIONS)
    largest.batchBytes = Math.max(largest.batchBytes, bytes + PROGRESS_BYTES)
    for (const { key, content } of operations) {
      largest.keyBytes = Math.max(largest.keyBytes, Buffer.byteLength(key))
      largest.valueBytes = Math.max(largest.valueBytes, content?.size ?? 0)
    }
  }

  limits(): Partial<Limits> {
    const { operations, batchBytes, valueBytes, keyBytes } = this.#largest
    return {
      queueOperationsMax: Math.max(operations, DEFAULT_LIMITS.queueOperationsMax),
      queueBytesMax: Math.max(batchBytes, DEFAULT_LIMITS.queueBytesMax),
      valueBytesMax: Math.max(valueBytes, DEFAULT_LIMITS.valueBytesMax),
      keyBytesMax: Math.max(keyBytes, DEFAULT_LIMITS.keyBytesMax),
    }
  }
}
