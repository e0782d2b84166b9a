/**
 * HostConnection owns the host's end of one connection and everything it has under way. It talks to the coordinator as
 * sessions do.
 *
 * - I9: what a connection has under way is bounded; one that exceeds its bounds is cut off.
 * - I11: when the port is closed, by whatever cause, requests that are in no commit group yet are withdrawn and everything
 *   else is let go. What is in a group is completed.
 */
import type { MessagePort } from 'node:worker_threads'
import { stateError } from '../errors.js'
import { BatchReader } from './batch-reader.js'
import { Channel } from './channel.js'
import { HostAnswers } from './host-answers.js'
import { HostCalls } from './host-calls.js'
import type { ConnectionRights, HostContext } from './host-context.js'
import { HostEvents } from './host-events.js'
import { HostReads } from './host-reads.js'
import { HostTurns } from './host-turns.js'
import { HostWatches } from './host-watches.js'
import { InFlight, TooMuchInFlight } from './in-flight.js'
import { Outbox, type Load } from './outbox.js'
import { HOST_CHANNEL } from './wire.js'

/** So many malformed batches, and the connection is cut off. */
const MALFORMED_MAX = 1000

export class HostConnection {
  readonly rights: ConnectionRights
  readonly turns: HostTurns
  readonly #onClosed: (connection: HostConnection) => void
  readonly #channel: Channel
  readonly #outbox: Outbox
  readonly #inFlight: InFlight
  readonly #answers: HostAnswers
  readonly #reads: HostReads
  readonly #events: HostEvents
  readonly #watches: HostWatches
  readonly #calls: HostCalls
  readonly #stopListening: () => void
  #malformed = 0
  /** Nothing more is listened to. */
  #isCutOff = false
  /** The call by which the other side goes: its last one, and answered last. */
  #closeId = 0
  #isOpen = true

  constructor(
    port: MessagePort,
    context: HostContext,
    rights: ConnectionRights,
    onClosed: (connection: HostConnection) => void,
  ) {
    const { coordinator, bus } = context
    const { limits } = coordinator
    this.rights = rights
    this.#onClosed = onClosed
    this.#channel = new Channel(port, HOST_CHANNEL, {
      received: (batch) => this.#received(batch),
      closed: () => this.close(),
    })
    this.#outbox = new Outbox(limits.connectionBytesMax, {
      send: (batch) => this.#channel.send(batch),
      taken: (load) => this.#taken(load),
      refused: () => this.close(),
    })
    this.#inFlight = new InFlight(limits, this.#outbox)
    this.#answers = new HostAnswers(this.#outbox, this.#inFlight)
    this.#reads = new HostReads(coordinator, this.#answers)
    this.#events = new HostEvents(bus, rights.bounds, this.#outbox, limits.eventBufferMax)
    this.#watches = new HostWatches(coordinator, this.#answers)
    this.turns = new HostTurns(coordinator)
    this.#calls = new HostCalls(context, rights, {
      answers: this.#answers,
      inFlight: this.#inFlight,
      reads: this.#reads,
      events: this.#events,
      watches: this.#watches,
      turns: this.turns,
      close: (id, flush) => void this.#leave(id, flush),
    })
    this.#stopListening = bus.on('failed', ({ error }) => this.#answers.storeFailed(error))
  }

  /** What is under way, for those who look for leaks. */
  get counts(): Readonly<Record<'calls' | 'turns' | 'watches', number>> {
    return { calls: this.#inFlight.size, turns: this.turns.size, watches: this.#watches.size }
  }

  /** Subscribes before the other side can. */
  subscribeEarly(): void {
    for (const type of ['recovered', 'external', 'warning'] as const) {
      this.#events.subscribe(type, undefined, true)
    }
  }

  /** The store is being closed: nobody gets a turn any more. */
  closing(reason: unknown): void {
    for (const id of this.turns.leaveAll()) this.#answers.failed(id, reason)
  }

  /** The store is closed: the other side is given what there is for it, and learns that nothing else will come. */
  async finish(flushed: boolean): Promise<void> {
    if (!this.#isOpen) return
    this.#reads.finish()
    this.#events.finish()
    await this.#watches.finish()
    await new Promise<void>((resolve) => setImmediate(resolve))
    const closed = stateError('STORE_CLOSED', 'the store was closed', {})
    const isOwner = this.rights.closeStore !== null
    for (const id of this.#inFlight.ids())
      if (!isOwner || id !== this.#closeId) this.#answers.failed(id, closed)
    if (isOwner) return
    this.#answers.closed(flushed)
    this.#outbox.flush()
    this.close()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#channel.close()
    this.#outbox.close()
    this.#stopListening()
    this.#reads.close()
    this.#events.close()
    this.#watches.close()
    this.turns.leaveAll()
    this.#inFlight.withdrawAll(stateError('DISCONNECTED', 'the connection was closed', {}))
    this.#onClosed(this)
  }

  #received(batch: unknown): void | Promise<void> {
    if (this.#isCutOff) return new Promise(() => {})
    // After the farewell there is nothing to ask for; what crossed it on its way does not matter any more.
    if (this.#closeId !== 0) return
    try {
      const reader = new BatchReader(batch)
      while (!reader.isAtEnd && this.#isOpen) this.#calls.take(reader)
    } catch (error) {
      this.#malformed++
      this.#isCutOff = error instanceof TooMuchInFlight || this.#malformed >= MALFORMED_MAX
      // The error is told first.
      if (this.#isCutOff) setImmediate(() => this.close())
      throw error
    }
  }

  #taken(load: Load): void {
    this.#inFlight.taken(load)
    this.#reads.taken(load.answerBytes)
    this.#events.taken(load.events)
  }

  async #leave(id: number, flush: boolean): Promise<void> {
    const { closeStore } = this.rights
    this.#closeId = id
    try {
      if (closeStore === null) {
        this.#events.finish()
        await this.#watches.finish()
        this.#answers.done(id)
        return
      }
      const onProgress = (done: number, total: number): void => this.#answers.progress(id, done, total)
      this.#answers.truth(id, await closeStore({ flush, onProgress }))
    } catch (error) {
      this.#answers.failed(id, error)
    }
  }
}
