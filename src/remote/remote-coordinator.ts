/**
 * RemoteCoordinator is what stores and sessions of this thread ask when their coordinator is in another one. It turns their
 * questions into calls of a connection. What a session has seen, the functions of updates and abort signals stay here.
 */
import { randomUUID } from 'node:crypto'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type {
  ConflictEvent,
  DeleteResult,
  Page,
  PortBounds,
  WatchItem,
  WatchOptions,
  WriteResult,
  Writer,
} from '../api.js'
import { orAborted } from '../abort.js'
import { ByteSlab } from '../byte-slab.js'
import type { RequestAnswer, RequestBody, RequestedOperation } from '../requests.js'
import type { SeenKeys } from '../seen-keys.js'
import { AgentStateError } from '../errors.js'
import { NAMESPACE_BYTES_MAX, type Limits } from '../limits.js'
import type { StoreMetrics } from '../metrics.js'
import { oneAtATime } from '../one-at-a-time.js'
import type { CloseSettings } from '../store-handle.js'
import type { FoundEntry, HostState, KnownHead, StoreHost, UpdateStep } from '../store-host.js'
import { checkAttempt } from '../update-attempts.js'
import { checkWriter, narrowBounds } from './bounds.js'
import type { ClientConnection } from './client-connection.js'
import { ClientNamespaces } from './client-namespaces.js'
import { ClientTerms } from './client-terms.js'
import { ClientTurns, findRunningUpdate, runInUpdate } from './client-turns.js'
import { ClientWatch } from './client-watch.js'
import { makeGreeting } from './greeting.js'
import { shareBuffer } from './host-watches.js'
import { CALL } from './wire.js'

export class RemoteCoordinator implements StoreHost {
  readonly limits: Limits
  readonly slab = new ByteSlab()
  /** Whoever asks how the store is must not wait behind what hangs in it: this takes no credit, one at a time. */
  readonly metrics = oneAtATime(() => this.#askMetrics())
  readonly #connection: ClientConnection
  readonly #terms = new ClientTerms()
  readonly #namespaces = new ClientNamespaces()
  readonly #turns: ClientTurns

  constructor(connection: ClientConnection) {
    this.limits = connection.greeting.limits
    this.#connection = connection
    this.#turns = new ClientTurns(this.limits.connectionOperationsMax)
  }

  get state(): HostState {
    return this.#connection.state
  }

  checkOpen(): void {
    this.#connection.checkOpen()
  }

  checkWriter(writer: Writer | null): void {
    checkWriter(this.#connection.greeting.bounds, writer)
  }

  /** Resolves when the store has answered for the first time. */
  hello(signal: AbortSignal | undefined): Promise<void> {
    return this.#ask(signal, CALL.HELLO)
  }

  submit(
    namespace: string,
    body: RequestBody,
    bytes: number,
    seen: SeenKeys | null,
    signal: AbortSignal | undefined,
  ): Promise<RequestAnswer> {
    const { batch } = this.#connection
    if (body.kind !== 'change') {
      const kind = body.kind === 'create' ? CALL.CREATE : CALL.REMOVE
      const write = (id: number): void => this.#connection.post(kind, id, namespace)
      return this.#connection.ask({ operations: 1, bytes: 0, kind: 'change', namespace, write }, signal)
    }
    const { operations, terms, single } = body
    const write = (id: number): void => {
      const slot = this.#terms.slot(terms, batch)
      const number = this.#namespaces.number(namespace, batch)
      const [first] = operations
      if (single && first?.kind === 'write') {
        batch.push(CALL.WRITE, id, number, slot, first.key, first.size, first.ifRevision, first.seen)
        batch.pushValue(first.value)
      } else {
        batch.push(CALL.CHANGE, id, number, slot, single, operations.length)
        for (const operation of operations) this.#pushOperation(operation)
      }
      this.#connection.schedule()
    }
    const change = { operations, single, seen }
    const asked = { operations: operations.length, bytes, kind: 'change' as const, namespace, change, write }
    return this.#connection.ask(asked, signal)
  }

  read(namespace: string, key: string, signal: AbortSignal | undefined): Promise<FoundEntry | null> {
    return this.#askOf(namespace, signal, CALL.READ, key)
  }

  head(namespace: string, key: string, signal: AbortSignal | undefined): Promise<KnownHead | null> {
    return this.#askOf(namespace, signal, CALL.HEAD, key)
  }

  list(namespace: string, page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#askOf(namespace, signal, CALL.LIST, ...pageValues(page, this.limits.keyBytesMax))
  }

  namespaces(page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#ask(signal, CALL.NAMESPACES, ...pageValues(page, NAMESPACE_BYTES_MAX))
  }

  exists(namespace: string, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#askOf(namespace, signal, CALL.EXISTS)
  }

  conflicts(signal: AbortSignal | undefined): Promise<readonly ConflictEvent[]> {
    return this.#ask(signal, CALL.CONFLICTS)
  }

  flush(signal: AbortSignal | undefined): Promise<void> {
    return this.#ask(signal, CALL.FLUSH)
  }

  /** The turn is held at the host; the function runs here. */
  async update(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
    step: UpdateStep,
  ): Promise<WriteResult | DeleteResult | null> {
    this.#connection.checkOpen()
    if (signal?.aborted === true) throw signal.reason
    const { store, token } = this.#connection.greeting
    const around = findRunningUpdate(store)
    const room = around === null ? this.#turns.enter(signal, this.#connection.closing) : null
    if (room !== null) await room
    let id = 0
    try {
      const write = (sentAs: number): void => {
        id = sentAs
        const slot = this.#terms.slot(step.terms, this.#connection.batch)
        this.#connection.post(CALL.UPDATE, id, namespace, key, slot, around?.token, around?.id ?? 0)
      }
      const asked = { operations: 0, bytes: 0, kind: 'turn' as const, write }
      const found = await this.#connection.ask<FoundEntry | null>(asked, signal)
      return await runInUpdate({ store, token, id }, () =>
        this.#runUpdate(namespace, key, found, signal, step),
      )
    } finally {
      if (id !== 0) this.#connection.post(CALL.TURN_OVER, id)
      if (around === null) this.#turns.leave()
    }
  }

  watch(namespace: string, options: WatchOptions): AsyncIterableIterator<WatchItem, undefined> {
    this.#connection.checkOpen()
    const { prefix, afterRevision, initial, signal } = options
    const cut = prefix?.slice(0, this.limits.keyBytesMax + 1)
    const id = this.#connection.calls.nextId()
    const { window } = shareBuffer(this.limits.eventBufferMax)
    const watch = new ClientWatch(window, signal, {
      taken: (count) => this.#connection.post(CALL.WATCH_TAKEN, id, count),
      // The host knows of those that it has ended itself.
      stopped: () => {
        if (this.#connection.watches.delete(id)) this.#connection.post(CALL.WATCH_STOP, id)
      },
    })
    if (watch.isOver) return watch
    this.#connection.watches.set(id, watch)
    this.#connection.post(CALL.WATCH, id, namespace, cut, afterRevision, initial ?? false)
    return watch
  }

  /** The new port's other end goes to the host, with a greeting in it. */
  createPort(asked: PortBounds | undefined): MessagePort {
    const { greeting, batch } = this.#connection
    const bounds = narrowBounds(greeting.bounds, asked)
    this.#connection.checkOpen()
    const { port1, port2 } = new MessageChannel()
    const state = this.state === 'failed' ? 'failed' : 'open'
    const token = randomUUID()
    port1.postMessage(makeGreeting({ ...greeting, token, state, bounds, isOwner: false }))
    const { namespaces, readOnly, writer } = bounds
    batch.push(CALL.PORT, token, namespaces === null ? null : [...namespaces], readOnly)
    batch.pushWriter(writer)
    batch.pushPort(port1)
    this.#connection.schedule()
    return port2
  }

  /** False if the tree should be up to date and is not. */
  async close({ flush, onProgress }: CloseSettings): Promise<boolean> {
    const { isOwner } = this.#connection.greeting
    // What was lost can't be closed any more; its owner has to know that nobody did.
    if (this.#connection.isLost) return !isOwner
    await this.#connection.beginClose(onProgress)
    let flushed = false
    try {
      flushed = isOwner ? await this.#close(flush) : await this.#leave(flush)
      return flushed || !flush
    } catch (error) {
      if (AgentStateError.is(error, 'DISCONNECTED') || AgentStateError.is(error, 'STORE_CLOSED'))
        return !isOwner
      throw error
    } finally {
      this.#connection.end(flushed)
    }
  }

  async #close(flush: boolean): Promise<boolean> {
    const { calls } = this.#connection
    const write = (id: number): void => this.#connection.post(CALL.CLOSE, id, flush)
    return calls.ask<boolean>({ operations: 0, bytes: 0, kind: 'other', write }, undefined)
  }

  async #leave(flush: boolean): Promise<boolean> {
    const { calls } = this.#connection
    const ask = (kind: number, ...values: readonly unknown[]): Promise<void> => {
      const write = (id: number): void => this.#connection.post(kind, id, ...values)
      return calls.ask({ operations: kind === CALL.CLOSE ? 0 : 1, bytes: 0, kind: 'other', write }, undefined)
    }
    let flushed = false
    if (flush) {
      flushed = await ask(CALL.FLUSH).then(
        () => true,
        (error: unknown) => {
          if (AgentStateError.is(error, 'DISCONNECTED') || AgentStateError.is(error, 'STORE_CLOSED'))
            throw error
          return false
        },
      )
    }
    await ask(CALL.CLOSE, false)
    return flushed
  }

  async #runUpdate(
    namespace: string,
    key: string,
    first: FoundEntry | null,
    signal: AbortSignal | undefined,
    step: UpdateStep,
  ): Promise<WriteResult | DeleteResult | null> {
    const { closing } = this.#connection
    let found = first
    for (let attempt = 1; ; attempt++) {
      if (signal?.aborted === true) throw signal.reason
      const value = await orAborted(step.decide(found), signal, closing)
      if (value === undefined) return null
      try {
        return await step.submit(value, found)
      } catch (error) {
        checkAttempt(error, attempt)
      }
      found = await this.read(namespace, key, signal)
    }
  }

  #askMetrics(): Promise<StoreMetrics> {
    const write = (id: number): void => this.#connection.post(CALL.METRICS, id)
    return this.#connection.ask({ operations: 0, bytes: 0, kind: 'other', write }, undefined)
  }

  #pushOperation(operation: RequestedOperation): void {
    const { batch } = this.#connection
    const { key, ifRevision, seen } = operation
    const isWrite = operation.kind === 'write'
    batch.push(isWrite, key, isWrite ? operation.size : 0, ifRevision, seen)
    if (isWrite) batch.pushValue(operation.value)
  }

  #ask<T>(signal: AbortSignal | undefined, kind: number, ...values: readonly unknown[]): Promise<T> {
    const write = (id: number): void => this.#connection.post(kind, id, ...values)
    return this.#connection.ask<T>({ operations: 1, bytes: 0, kind: 'other', write }, signal)
  }

  /** Asks about a namespace. */
  #askOf<T>(
    namespace: string,
    signal: AbortSignal | undefined,
    kind: number,
    ...values: readonly unknown[]
  ): Promise<T> {
    const write = (id: number): void => {
      const number = this.#namespaces.number(namespace, this.#connection.batch)
      this.#connection.post(kind, id, number, ...values)
    }
    return this.#connection.ask<T>({ operations: 1, bytes: 0, kind: 'other', namespace, write }, signal)
  }
}

/** What is behind the longest name that there can be makes no difference, and need not travel. */
function pageValues(page: Page | undefined, nameLengthMax: number): readonly unknown[] {
  const cut = (text: string | undefined): string | undefined => text?.slice(0, nameLengthMax + 1)
  return [cut(page?.prefix), cut(page?.after), page?.limit, page?.reverse ?? false]
}
