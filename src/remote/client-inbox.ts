/** Reads what the host delivers, entry by entry, and hands it to the connection. The layout is in wire.ts. */
import type { Conflict, ConflictEvent, EventMap, WatchItem } from '../api.js'
import type { EventType } from '../event-bus.js'
import type { StoreMetrics } from '../metrics.js'
import type { FoundEntry, KnownHead } from '../store-host.js'
import { BatchReader, MalformedBatch } from './batch-reader.js'
import { decodeError, type EncodedError } from './encode-error.js'
import { ANSWER, RULES } from './wire.js'
import type { ReceivedWriters } from './writer-table.js'

/** Namespace and key are known on this side. */
export type SentConflict = Omit<Conflict, 'namespace' | 'key'>

/** One result as it travels. */
export interface SentResult {
  /** Null: it was a write. */
  readonly deleted: boolean | null
  readonly revision: number | null
  readonly conflict: SentConflict | null
}

type Answer =
  | boolean
  | undefined
  | null
  | FoundEntry
  | KnownHead
  | readonly string[]
  | StoreMetrics
  | readonly ConflictEvent[]

export interface ClientInbox {
  /** Of all deliveries so far. */
  readonly writers: ReceivedWriters
  /** An answer that fits any call: a truth, nothing, null for what is missing, an entry, a head. */
  answered(id: number, answer: Answer): void
  /** How many results the change with this id has. */
  countOf(id: number): number
  changed(id: number, results: readonly SentResult[]): void
  failed(id: number, error: Error): void
  withdrawn(id: number): void
  progress(id: number, done: number, total: number): void
  watchItem(id: number, item: WatchItem): void
  watchEnd(id: number, error: Error | null): void
  event(type: EventType, event: EventMap[EventType]): void
  lagged(type: EventType, total: number, byNamespace: ReadonlyMap<string, number>): void
  storeFailed(error: Error): void
  storeClosed(flushed: boolean): void
}

export function takeDelivery(batch: unknown, inbox: ClientInbox): void {
  const reader = new BatchReader(batch)
  while (!reader.isAtEnd) takeEntry(reader, inbox)
}

function takeEntry(reader: BatchReader, inbox: ClientInbox): void {
  switch (reader.next()) {
    case ANSWER.WRITTEN:
      return inbox.changed(reader.id(), [
        { deleted: null, revision: reader.integer(0, Number.MAX_SAFE_INTEGER), conflict: null },
      ])
    case ANSWER.OVERWRITTEN: {
      const id = reader.id()
      const revision = reader.integer(0, Number.MAX_SAFE_INTEGER)
      return inbox.changed(id, [{ deleted: null, revision, conflict: takeConflict(reader, inbox.writers) }])
    }
    case ANSWER.CHANGED: {
      const id = reader.id()
      const results: SentResult[] = []
      for (let count = inbox.countOf(id); count > 0; count--) results.push(takeResult(reader, inbox.writers))
      return inbox.changed(id, results)
    }
    case ANSWER.FOUND: {
      const id = reader.id()
      const head = takeHead(reader, inbox.writers)
      return inbox.answered(id, { head, value: reader.value(head.size) })
    }
    case ANSWER.HEAD_FOUND:
      return inbox.answered(reader.id(), takeHead(reader, inbox.writers))
    case ANSWER.MISSING:
      return inbox.answered(reader.id(), null)
    case ANSWER.NAMES:
      return inbox.answered(reader.id(), takeNames(reader))
    case ANSWER.PLAIN:
      return inbox.answered(reader.id(), reader.next() as StoreMetrics | readonly ConflictEvent[])
    case ANSWER.YES:
      return inbox.answered(reader.id(), true)
    case ANSWER.NO:
      return inbox.answered(reader.id(), false)
    case ANSWER.DONE:
      return inbox.answered(reader.id(), undefined)
    case ANSWER.FAILED:
      return inbox.failed(reader.id(), takeError(reader))
    case ANSWER.WITHDRAWN:
      return inbox.withdrawn(reader.id())
    default:
      throw new MalformedBatch('there is no such answer')
    case ANSWER.PROGRESS:
      return inbox.progress(reader.id(), reader.next() as number, reader.next() as number)
    case ANSWER.WATCH_ITEM:
      return inbox.watchItem(reader.id(), reader.next() as WatchItem)
    case ANSWER.WATCH_END: {
      const id = reader.id()
      const error = reader.next() as EncodedError | null
      return inbox.watchEnd(id, error === null ? null : decodeError(error))
    }
    case ANSWER.EVENT:
      return inbox.event(reader.next() as EventType, reader.next() as EventMap[EventType])
    case ANSWER.LAGGED:
      return inbox.lagged(
        reader.next() as EventType,
        reader.next() as number,
        new Map(reader.next() as [string, number][]),
      )
    case ANSWER.STORE_FAILED:
      return inbox.storeFailed(takeError(reader))
    case ANSWER.CLOSED:
      return inbox.storeClosed(reader.flag())
  }
}

function takeResult(reader: BatchReader, writers: ReceivedWriters): SentResult {
  const deleted = reader.next() as boolean | null
  const revision = reader.next() as number | null
  return { deleted, revision, conflict: reader.flag() ? takeConflict(reader, writers) : null }
}

function takeConflict(reader: BatchReader, writers: ReceivedWriters): SentConflict {
  const rule = RULES[reader.integer(0, RULES.length - 1)]!
  const current = writers.take(reader) ?? {}
  const previous = writers.take(reader)
  return {
    rule,
    current,
    previous,
    previousRevision: reader.next() as number | null,
    seenRevision: reader.next() as number | null,
  }
}

function takeHead(reader: BatchReader, writers: ReceivedWriters): KnownHead {
  const revision = reader.integer(0, Number.MAX_SAFE_INTEGER)
  const size = reader.integer(0, Number.MAX_SAFE_INTEGER)
  const updatedAtMs = reader.next() as number
  const external = reader.flag()
  return { revision, size, updatedAtMs, external, writer: writers.take(reader) }
}

function takeNames(reader: BatchReader): readonly string[] {
  const names: string[] = []
  for (const text of reader.next() as readonly string[]) for (const name of text.split('\0')) names.push(name)
  return names
}

function takeError(reader: BatchReader): Error {
  return decodeError(reader.next() as EncodedError)
}
