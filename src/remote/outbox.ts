/**
 * Outbox owns what the host has for one connection: what is answered or published in one turn of the event loop travels
 * as one message. While the other side has too much that it did not take, nothing more is sent (I9): what waits here is
 * bounded, since no more is asked for and published than the connection may have under way.
 */
import { EVENT_TYPES, type EventType } from '../event-bus.js'
import { BatchWriter } from './batch-writer.js'
import type { Batch } from './channel.js'

/** What is over when a message was taken. */
export interface Load {
  /** Of the calls that it answers. */
  operations: number
  callBytes: number
  /** The question how the store is is one of them. */
  isQuestion: boolean
  /** Values and names in the answers. */
  answerBytes: number
  readonly events: Record<EventType, number>
}

export interface OutboxHooks {
  /** Resolves when the other side has taken the message. */
  send(batch: Batch): Promise<void>
  taken(load: Load): void
  /** The other side refused a message: what it answers would stay open for ever. */
  refused(): void
}

export class Outbox {
  readonly writer = new BatchWriter()
  readonly #hooks: OutboxHooks
  readonly #bytesMax: number
  #load = emptyLoad()
  /** Bytes that were sent and not taken yet. */
  #bytesOut = 0
  #scheduled = false
  #isClosed = false

  constructor(bytesMax: number, hooks: OutboxHooks) {
    this.#bytesMax = bytesMax
    this.#hooks = hooks
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** What the next message stands for; whoever writes to it counts it here. */
  get load(): Load {
    return this.#load
  }

  /** To be called after writing. */
  schedule(): void {
    if (this.#scheduled || this.#isClosed) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#bytesOut === 0 || this.#bytesOut < this.#bytesMax) this.flush()
    })
  }

  /** Sends what there is, whatever was taken. */
  flush(): void {
    if (this.#isClosed || this.writer.isEmpty) return
    const load = this.#load
    this.#load = emptyLoad()
    this.#bytesOut += load.answerBytes
    this.#hooks.send(this.writer.take()).then(
      () => this.#taken(load),
      () => this.#hooks.refused(),
    )
  }

  close(): void {
    this.#isClosed = true
    this.writer.take()
  }

  #taken(load: Load): void {
    this.#bytesOut -= load.answerBytes
    this.#hooks.taken(load)
    if (!this.writer.isEmpty) this.schedule()
  }
}

function emptyLoad(): Load {
  const events = Object.fromEntries(EVENT_TYPES.map((type) => [type, 0])) as Record<EventType, number>
  return { operations: 0, callBytes: 0, isQuestion: false, answerBytes: 0, events }
}
