/** How the host says things to a connection; the layout is in wire.ts. */
import type { Conflict, ConflictEvent, WatchItem } from '../api.js'
import type { OperationResult, RequestedOperation } from '../requests.js'
import type { StoreMetrics } from '../metrics.js'
import type { FoundEntry, KnownHead } from '../store-host.js'
import { encodeError } from './encode-error.js'
import type { ReadAnswers } from './host-reads.js'
import type { WatchAnswers } from './host-watches.js'
import type { InFlight } from './in-flight.js'
import type { Outbox } from './outbox.js'
import { ANSWER, RULES } from './wire.js'
import { SentWriters } from './writer-table.js'

/** Names in one text: no name has a NUL. */
const NAMES_PER_TEXT = 10_000
/** What a past conflict takes besides its key, about. */
const CONFLICT_BYTES = 512

export class HostAnswers implements ReadAnswers, WatchAnswers {
  readonly #outbox: Outbox
  readonly #inFlight: InFlight
  readonly #writers = new SentWriters()

  constructor(outbox: Outbox, inFlight: InFlight) {
    this.#outbox = outbox
    this.#inFlight = inFlight
  }

  failed(id: number, error: unknown): void {
    if (this.#answered(id)) this.#say(ANSWER.FAILED, id, encodeError(error))
  }

  withdrawn(id: number): void {
    if (this.#answered(id)) this.#say(ANSWER.WITHDRAWN, id)
  }

  truth(id: number, truth: boolean): void {
    if (this.#answered(id)) this.#say(truth ? ANSWER.YES : ANSWER.NO, id)
  }

  done(id: number): void {
    if (this.#answered(id)) this.#say(ANSWER.DONE, id)
  }

  changed(id: number, operations: readonly RequestedOperation[], results: readonly OperationResult[]): void {
    if (!this.#answered(id)) return
    const { writer } = this.#outbox
    this.#outbox.schedule()
    const [first] = results
    if (results.length === 1 && operations[0]!.kind === 'write') {
      const { revision, conflict } = first!
      if (conflict === null) return writer.push(ANSWER.WRITTEN, id, revision)
      writer.push(ANSWER.OVERWRITTEN, id, revision)
      return this.#conflict(conflict)
    }
    writer.push(ANSWER.CHANGED, id)
    for (const result of results) {
      const { revision, conflict } = result
      writer.push('deleted' in result ? result.deleted : null, revision, conflict !== null)
      if (conflict !== null) this.#conflict(conflict)
    }
  }

  found(id: number, found: FoundEntry | null): void {
    if (!this.#answered(id)) return
    if (found === null) {
      this.#say(ANSWER.MISSING, id)
      return
    }
    const size = found.value.byteLength
    this.#head(ANSWER.FOUND, id, found.head, size)
    this.#outbox.writer.pushValue(found.value)
    this.#outbox.load.answerBytes += size
  }

  head(id: number, head: KnownHead | null): void {
    if (!this.#answered(id)) return
    if (head === null) this.#say(ANSWER.MISSING, id)
    else this.#head(ANSWER.HEAD_FOUND, id, head, head.size)
  }

  metrics(id: number, metrics: StoreMetrics): void {
    if (this.#answered(id)) this.#say(ANSWER.PLAIN, id, metrics)
  }

  /** Gives the bytes that the answer takes, about. */
  conflicts(id: number, conflicts: readonly ConflictEvent[]): number {
    if (!this.#answered(id)) return 0
    const bytes = conflicts.reduce((sum, { key }) => sum + CONFLICT_BYTES + 2 * key.length, 0)
    this.#say(ANSWER.PLAIN, id, conflicts)
    this.#outbox.load.answerBytes += bytes
    return bytes
  }

  /** Gives the bytes that the answer takes. */
  names(id: number, names: readonly string[]): number {
    if (!this.#answered(id)) return 0
    const texts: string[] = []
    let length = 0
    for (let start = 0; start < names.length; start += NAMES_PER_TEXT) {
      const text = names.slice(start, start + NAMES_PER_TEXT).join('\0')
      length += text.length
      texts.push(text)
    }
    this.#say(ANSWER.NAMES, id, texts)
    this.#outbox.load.answerBytes += length
    return length
  }

  item(id: number, item: WatchItem): void {
    this.#say(ANSWER.WATCH_ITEM, id, item)
  }

  end(id: number, failure: { readonly error: unknown } | null): void {
    this.#say(ANSWER.WATCH_END, id, failure === null ? null : encodeError(failure.error))
  }

  progress(id: number, done: number, total: number): void {
    this.#say(ANSWER.PROGRESS, id, done, total)
  }

  storeFailed(error: unknown): void {
    this.#say(ANSWER.STORE_FAILED, encodeError(error))
  }

  closed(flushed: boolean): void {
    this.#say(ANSWER.CLOSED, flushed)
  }

  /** A call is being answered; false if the answer has nobody to go to. */
  #answered(id: number): boolean {
    return this.#inFlight.answered(id) && !this.#outbox.isClosed
  }

  /** Value by value: cloning an object of objects would cost more than all the rest of an answer. */
  #conflict({ rule, current, previous, previousRevision, seenRevision }: Conflict): void {
    const { writer } = this.#outbox
    writer.push(RULES.indexOf(rule))
    this.#writers.push(writer, current)
    this.#writers.push(writer, previous)
    writer.push(previousRevision, seenRevision)
  }

  #head(kind: number, id: number, head: KnownHead, size: number): void {
    const { writer } = this.#outbox
    writer.push(kind, id, head.revision, size, head.updatedAtMs, head.external)
    this.#writers.push(writer, head.writer)
    this.#outbox.schedule()
  }

  #say(...values: readonly unknown[]): void {
    if (this.#outbox.isClosed) return
    this.#outbox.writer.push(...values)
    this.#outbox.schedule()
  }
}
