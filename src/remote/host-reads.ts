/**
 * HostReads owns what one connection reads. Answers take memory until the other side has taken them, so reads wait for
 * their turn: as many are under way as their answers fit the connection's bound, at least one (I9). Lists (of names, of
 * conflicts), whose size is known only afterwards and which take a while to put together, are made one by one, with a turn
 * of the event loop in between for everybody else.
 */
import type { Page } from '../api.js'
import type { Coordinator } from '../coordinator/coordinator.js'
import { Queue } from '../queue.js'
import type { FoundEntry } from '../store-host.js'
import type { BatchReader } from './batch-reader.js'

export interface ReadRequest {
  readonly id: number
  readonly namespace: string
  readonly key: string
}

export interface ListRequest {
  readonly id: number
  /** Makes the answer and gives it; resolves with the bytes that it takes. */
  readonly answer: () => Promise<number>
}

export interface ReadAnswers {
  found(id: number, found: FoundEntry | null): void
  failed(id: number, error: unknown): void
}

/** What a value that is not in memory is taken to have, until it is there. */
const UNKNOWN_BYTES = 256 * 1024

export class HostReads {
  readonly #coordinator: Coordinator
  readonly #answers: ReadAnswers
  readonly #bytesMax: number
  readonly #reads = new Queue<ReadRequest>()
  readonly #lists = new Queue<ListRequest>()
  /** Bytes of answers that are being made, or were not taken yet. */
  #bytes = 0
  #listing = false
  #isClosed = false

  constructor(coordinator: Coordinator, answers: ReadAnswers) {
    this.#coordinator = coordinator
    this.#answers = answers
    this.#bytesMax = coordinator.limits.connectionBytesMax
  }

  read(request: ReadRequest): void {
    this.#reads.push(request)
    this.#next()
  }

  list(request: ListRequest): void {
    this.#lists.push(request)
    this.#nextList()
  }

  /** The other side has taken answers of so many bytes. */
  taken(bytes: number): void {
    this.#bytes -= bytes
    this.#next()
    this.#nextList()
  }

  /** What has not begun never will. */
  close(): void {
    this.#isClosed = true
  }

  /** Answers everything that waits, whatever it takes. */
  finish(): void {
    for (let next = this.#reads.shift(); next !== undefined; next = this.#reads.shift()) this.#begin(next, 0)
    for (let next = this.#lists.shift(); next !== undefined; next = this.#lists.shift()) void this.#list(next)
  }

  #next(): void {
    for (let next = this.#reads.peek(); next !== undefined; next = this.#reads.peek()) {
      if (this.#isClosed) return
      const bytes = this.#coordinator.sizeOf(next.namespace, next.key) ?? UNKNOWN_BYTES
      if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) return
      this.#reads.shift()
      this.#begin(next, bytes)
    }
  }

  #begin({ id, namespace, key }: ReadRequest, reserved: number): void {
    this.#bytes += reserved
    const found = (entry: FoundEntry | null): void => {
      this.#bytes += (entry === null ? 0 : entry.value.byteLength) - reserved
      this.#answers.found(id, entry)
    }
    const failed = (error: unknown): void => {
      this.#bytes -= reserved
      this.#answers.failed(id, error)
    }
    try {
      const reading = this.#coordinator.read(namespace, key, undefined)
      if (reading instanceof Promise) void reading.then(found, failed).then(() => this.#next())
      else found(reading)
    } catch (error) {
      failed(error)
    }
  }

  #nextList(): void {
    if (this.#listing || this.#isClosed || this.#lists.length === 0) return
    if (this.#bytes > 0 && this.#bytes >= this.#bytesMax) return
    this.#listing = true
    setImmediate(() => {
      const next = this.#lists.shift()
      if (next === undefined || this.#isClosed) {
        this.#listing = false
        return
      }
      void this.#list(next).finally(() => {
        this.#listing = false
        this.#nextList()
      })
    })
  }

  async #list({ id, answer }: ListRequest): Promise<void> {
    try {
      this.#bytes += await answer()
    } catch (error) {
      this.#answers.failed(id, error)
    }
  }
}

export function readPage(reader: BatchReader, nameLengthMax: number): Page {
  const prefix = reader.comparedText(nameLengthMax)
  const after = reader.comparedText(nameLengthMax)
  const limit = reader.optionalInteger(1)
  return { prefix, after, limit, reverse: reader.flag() }
}
