/**
 * ClientConnection owns this thread's end of a connection: the port, what is to be sent, what was asked, what has come, and
 * whether it is open. What is asked in one turn of the event loop travels as one message.
 *
 * - I11: when the port is closed or the store's thread dies, every call is answered, iterators end, `closed` is published.
 * - A connection without calls under way does not keep its thread alive.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Conflict, EventMap, WatchItem } from '../api.js'
import type { OperationResult } from '../requests.js'
import { AgentStateError, stateError } from '../errors.js'
import type { EventType } from '../event-bus.js'
import type { HostState } from '../store-host.js'
import { BatchWriter } from './batch-writer.js'
import { Channel } from './channel.js'
import { ClientCalls, type Asked, type Call } from './client-calls.js'
import { ClientEvents } from './client-events.js'
import { takeDelivery, type ClientInbox, type SentConflict, type SentResult } from './client-inbox.js'
import type { ClientWatch } from './client-watch.js'
import type { GreetingContent } from './greeting.js'
import { CALL, CLIENT_CHANNEL } from './wire.js'
import { ReceivedWriters } from './writer-table.js'

type Status =
  | { readonly kind: 'open' }
  /** Closed by its user, or about to be. */
  | { readonly kind: 'closed'; readonly error: AgentStateError }
  /** Closed by the other side. */
  | { readonly kind: 'lost'; readonly error: AgentStateError }

export class ClientConnection implements ClientInbox {
  readonly greeting: GreetingContent
  readonly batch = new BatchWriter()
  readonly writers = new ReceivedWriters()
  readonly calls: ClientCalls
  readonly events: ClientEvents
  readonly watches = new Map<number, ClientWatch>()
  readonly #channel: Channel
  readonly #closing = new AbortController()
  /** Asked when the connection was lost. */
  #findCause: () => Promise<unknown>
  #status: Status = { kind: 'open' }
  #hasFailed: boolean
  #onProgress: ((done: number, total: number) => void) | null = null
  /** What the host said when it closed: whether the tree was up to date. */
  #farewell: { readonly flushed: boolean } | null = null
  #isOver = false
  #scheduled = false

  constructor(port: MessagePort, greeting: GreetingContent, findCause: () => Promise<unknown>) {
    this.greeting = greeting
    this.#findCause = findCause
    this.#hasFailed = greeting.state === 'failed'
    this.events = new ClientEvents(
      greeting.limits.eventBufferMax,
      greeting.isOwner,
      (type, namespace, isOn) => this.post(CALL.EVENTS, type, namespace, isOn),
    )
    this.#channel = new Channel(port, CLIENT_CHANNEL, {
      received: (batch) => takeDelivery(batch, this),
      closed: () => void this.#lose(),
    })
    this.calls = new ClientCalls(
      greeting.limits,
      (id) => this.post(CALL.ABORT, id),
      (isActive) => (isActive ? this.#channel.ref() : this.#channel.unref()),
    )
  }

  get state(): HostState {
    if (this.#status.kind !== 'open') return 'closed'
    return this.#hasFailed ? 'failed' : 'open'
  }

  /** Aborts when nothing new is taken any more. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  get isLost(): boolean {
    return this.#status.kind === 'lost'
  }

  checkOpen(): void {
    if (this.#status.kind !== 'open') throw this.#status.error
  }

  /** Asks, if the connection is open; throws if it is not. */
  ask<T>(asked: Asked, signal: AbortSignal | undefined): Promise<T> {
    this.checkOpen()
    return this.calls.ask<T>(asked, signal)
  }

  /** Tells the host something that is not answered. */
  post(...values: readonly unknown[]): void {
    if (this.#isOver) return
    this.batch.push(...values)
    this.schedule()
  }

  /** To be called after writing to the batch. */
  schedule(): void {
    if (this.#scheduled || this.#isOver) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (!this.#channel.isOpen || this.batch.isEmpty) return
      this.calls.posted()
      // A message that is refused is no call of this library's: what it asked for would stay open for ever.
      this.#channel.send(this.batch.take()).catch((error: unknown) => this.#refused(error))
    })
  }

  /** Nothing new is taken; resolves when what was asked before is answered. */
  async beginClose(onProgress: ((done: number, total: number) => void) | undefined): Promise<void> {
    this.#status = { kind: 'closed', error: stateError('STORE_CLOSED', 'the store was closed', {}) }
    this.#onProgress = onProgress ?? null
    this.#closing.abort(this.#status.error)
    this.calls.giveUpTurns(this.#status.error)
    await this.calls.whenIdle()
  }

  /** Ends what the connection gave to its user, and the connection. */
  end(flushed: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#channel.close()
    // Who has the other end of a port that is not sent any more would wait for ever.
    for (const port of this.batch.take()[3]) port.close()
    const watches = [...this.watches.values()]
    this.watches.clear()
    for (const watch of watches) watch.end()
    this.events.bus.publish('closed', { flushed })
    this.events.bus.end()
  }

  /** Nobody has this connection. */
  abandon(): void {
    this.#channel.close()
    void this.#lose()
  }

  answered(id: number, answer: unknown): void {
    this.calls.answered(id)?.resolve(answer)
  }

  countOf(id: number): number {
    return this.calls.find(id)?.asked.operations ?? 0
  }

  changed(id: number, sent: readonly SentResult[]): void {
    const call = this.calls.answered(id)
    if (call?.asked.change === undefined) return
    const { namespace = '', change } = call.asked
    const { operations, single, seen } = change
    const results = sent.map((result, index): OperationResult => {
      const { key } = operations[index]!
      const { deleted, revision } = result
      const conflict = result.conflict === null ? null : conflictOf(namespace, key, result.conflict)
      seen?.set(key, deleted === null ? revision : null)
      if (deleted === null) return { key, revision: revision!, conflict }
      return { key, deleted, revision, conflict }
    })
    call.resolve(single ? results[0] : results)
  }

  failed(id: number, error: Error): void {
    this.calls.answered(id)?.reject(this.#asSeenHere(error))
  }

  withdrawn(id: number): void {
    const call: Call | undefined = this.calls.answered(id)
    call?.reject(call.reason)
  }

  progress(_id: number, done: number, total: number): void {
    this.#onProgress?.(done, total)
  }

  watchItem(id: number, item: WatchItem): void {
    this.watches.get(id)?.push(item)
  }

  watchEnd(id: number, error: Error | null): void {
    const watch = this.watches.get(id)
    this.watches.delete(id)
    if (error === null || AgentStateError.is(error, 'STORE_CLOSED')) watch?.end()
    else watch?.fail(error)
  }

  event(type: EventType, event: EventMap[EventType]): void {
    this.events.deliver(type, event)
  }

  lagged(type: EventType, total: number, byNamespace: ReadonlyMap<string, number>): void {
    this.events.lagged(type, total, byNamespace)
  }

  storeFailed(error: Error): void {
    this.#hasFailed = true
    this.events.bus.publish('failed', { error: error as AgentStateError })
  }

  storeClosed(flushed: boolean): void {
    this.#farewell = { flushed }
  }

  /** The host did not understand this library: what was asked of it would stay open for ever. */
  #refused(cause: unknown): void {
    this.#findCause = () => Promise.resolve(cause)
    this.abandon()
  }

  /** The port was closed. Callers are told the cause, which may take a moment to be known. */
  async #lose(): Promise<void> {
    if (this.#isOver) return
    const lost = this.#status.kind === 'open'
    if (lost) this.#status = { kind: 'lost', error: this.#disconnected(undefined) }
    const cause = await this.#findCause()
    if (this.#isOver) return
    const error = this.#disconnected(cause)
    if (lost) {
      this.#status = { kind: 'lost', error }
      this.#closing.abort(error)
    }
    this.calls.lost(this.#farewell !== null, () => this.#disconnected(cause))
    this.end(this.#farewell?.flushed ?? false)
  }

  /** That the store was closed means two things: here its user did it, or somebody else. */
  #asSeenHere(error: Error): Error {
    if (this.#status.kind === 'closed' || !AgentStateError.is(error, 'STORE_CLOSED')) return error
    return stateError('DISCONNECTED', 'the store was closed by its owner', { cause: error })
  }

  #disconnected(cause: unknown): AgentStateError {
    const message =
      this.#farewell !== null
        ? 'the store was closed by its owner'
        : 'the connection to the store was lost: its port was closed, or its thread or process has ended'
    return stateError('DISCONNECTED', message, { cause })
  }
}

/** Field by field, which is quicker than copying with a spread. */
function conflictOf(namespace: string, key: string, sent: SentConflict): Conflict {
  const { rule, current, previous, previousRevision, seenRevision } = sent
  return { namespace, key, rule, current, previous, previousRevision, seenRevision }
}
