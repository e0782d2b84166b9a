/**
 * Coordinator is what sessions talk to: it puts together the parts that decide. It owns the life of the backend: opened
 * first, failed when it says so, closed last.
 *
 * - A change goes Committer → backend → settle → Publisher; a read goes to Reader.
 * - `update` takes a turn per key here, reads, and comes back as a conditional change (no lock is held meanwhile).
 * - I11: after `close` has begun every new call is refused, and every old one is answered before the backend closes.
 */
import { performance } from 'node:perf_hooks'
import type { Change, ConflictEvent, DeleteResult, Page, WatchOptions, WriteResult, Writer } from '../api.js'
import { orAborted } from '../abort.js'
import type { Backend, BackendHost, Head } from '../backend/backend.js'
import { ByteSlab } from '../byte-slab.js'
import { stateError, type AgentStateError } from '../errors.js'
import type { EventBus } from '../event-bus.js'
import type { Limits } from '../limits.js'
import { pageOf } from '../page.js'
import type { HeldUpdate, StoreMetrics } from '../metrics.js'
import type { HostState, StoreHost, UpdateStep } from '../store-host.js'
import { checkAttempt } from '../update-attempts.js'
import { compareUtf8 } from '../utf8.js'
import { watch, type WatchIterable } from './watch.js'
import { ConflictLog } from './conflict-log.js'
import { CommitCounts } from './commit-counts.js'
import { Committer } from './committer.js'
import { Namespaces } from './namespaces.js'
import { Publisher } from './publisher.js'
import { Reader, type Found } from './reader.js'
import { storeFailed } from './refusals.js'
import { Request } from './request.js'
import type { RequestAnswer, RequestBody } from '../requests.js'
import type { SeenKeys } from '../seen-keys.js'
import { UpdateTurns, type Turn } from './update-turns.js'

/** So many of those that hold a turn are told by name. */
const HOLDERS_TOLD = 5

export class Coordinator implements StoreHost {
  readonly limits: Limits
  readonly slab = new ByteSlab()
  readonly publisher: Publisher
  readonly #now: () => number
  readonly #backend: Backend
  readonly #namespaces: Namespaces
  readonly #reader: Reader
  readonly #conflicts: ConflictLog
  readonly #committer: Committer
  readonly #counts = new CommitCounts()
  readonly #openedAtMs = performance.now()
  readonly #updates = new UpdateTurns()
  #state: HostState = 'open'
  #failure: AgentStateError | null = null
  #reads = 0
  #readsIdle: (() => void) | null = null
  readonly #readDone = (): void => {
    this.#reads--
    if (this.#reads === 0) this.#readsIdle?.()
  }
  /** Aborts what does not change anything yet and could wait for ever. */
  readonly #closing = new AbortController()

  constructor(backend: Backend, limits: Limits, events: EventBus, now: () => number) {
    this.limits = limits
    this.#now = now
    this.#backend = backend
    this.#namespaces = new Namespaces(backend, limits, (state) => this.#committer.isInUse(state))
    this.#conflicts = new ConflictLog(limits.conflictLogMax, backend, (message) =>
      events.warn('CONFLICT_LOG_FAILED', message),
    )
    this.publisher = new Publisher(events, limits.historyMax, this.#conflicts)
    this.#reader = new Reader(backend, this.#namespaces, this.publisher)
    this.#committer = new Committer({
      backend,
      limits,
      namespaces: this.#namespaces,
      publisher: this.publisher,
      reader: this.#reader,
      counts: this.#counts,
      now,
    })
  }

  get state(): HostState {
    return this.#state
  }

  /** Aborts when `close` begins: nothing new is taken, and nobody gets a turn any more. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Keys that an update holds. */
  get turnsHeld(): number {
    return this.#updates.size
  }

  async open(): Promise<void> {
    // Nobody can have subscribed yet: what happens while opening is published in the first turn after it.
    let early: (() => void)[] | null = []
    const publish = (event: () => void): void => {
      if (early === null) event()
      else early.push(event)
    }
    const host: BackendHost = {
      limits: this.limits,
      failed: (error) => this.#fail(error),
      warning: (code, message) => publish(() => this.publisher.events.warn(code, message)),
      external: (namespace, key, preservedAs) =>
        publish(() => this.publisher.external(namespace, key, preservedAs)),
    }
    const answer = await this.#backend.open(host)
    this.#namespaces.opened(answer.revision, answer.foldName)
    setImmediate(() => {
      const { recovered } = answer
      if (recovered !== null) this.publisher.events.publish('recovered', recovered)
      for (const event of early ?? []) event()
      early = null
    })
  }

  /** Puts a request into its namespace's mailbox. */
  submit(
    namespace: string,
    body: RequestBody,
    bytes: number,
    seen: SeenKeys | null,
    signal: AbortSignal | undefined,
  ): Promise<RequestAnswer> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) throw signal.reason
      this.enqueue(namespace, new Request(body, bytes, seen, resolve, reject), signal)
    })
  }

  /** As `submit`, for callers that keep the request. */
  enqueue(namespace: string, request: Request, signal?: AbortSignal): void {
    this.#checkWritable()
    this.#committer.submit(this.#namespaces.get(namespace), request, signal)
  }

  /** Size of a key's value in bytes, if it is in memory. */
  sizeOf(namespace: string, key: string): number | undefined {
    return this.#namespaces.find(namespace)?.keys.get(key)?.head?.size
  }

  /** The value of a key as it is in memory, or a promise of it. */
  read(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<Found | null> | Found | null {
    this.#begin(signal)
    const found = this.#reader.peek(namespace, key)
    if (found !== undefined) return found
    return this.#reading(this.#reader.read(namespace, key), signal)
  }

  head(namespace: string, key: string, signal: AbortSignal | undefined): Promise<Head | null> {
    this.#begin(signal)
    return this.#reading(this.#reader.head(namespace, key), signal)
  }

  /** Looks up in one go what `head` is about to be asked for. */
  prepareHeads(namespace: string, keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    this.#begin(signal)
    return this.#reading(this.#reader.prepareHeads(namespace, keys), signal)
  }

  /** All keys in order; not to be changed, and valid until the next turn of the event loop. */
  names(namespace: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    this.#begin(signal)
    return this.#reading(this.#reader.names(namespace), signal)
  }

  async exists(namespace: string, signal: AbortSignal | undefined): Promise<boolean> {
    this.#begin(signal)
    const state = this.#namespaces.get(namespace)
    try {
      const loading = this.#namespaces.load(state)
      if (loading !== null) await this.#reading(loading, signal)
      return state.exists
    } finally {
      this.#namespaces.trim()
    }
  }

  async list(namespace: string, page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    return pageOf(await this.names(namespace, signal), page)
  }

  async namespaces(page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    this.#begin(signal)
    const names = await this.#reading(this.#backend.namespaces(), signal)
    return pageOf([...names].sort(compareUtf8), page)
  }

  /** `bufferMax`: changes that may wait to be taken. */
  watch(namespace: string, options: WatchOptions, bufferMax = this.limits.eventBufferMax): WatchIterable {
    return watch(this, namespace, options, bufferMax)
  }

  /** Revision of the last change of the namespace. Only while it is pinned and loaded. */
  lastRevision(namespace: string): number {
    return this.#namespaces.get(namespace).lastRevision
  }

  /**
   * Changes of the namespace after a revision, oldest first; null if what was in memory of it is not known yet. Throws
   * `REVISION_COMPACTED`.
   */
  history(namespace: string, afterRevision: number): readonly Change[] | null {
    const state = this.#namespaces.get(namespace)
    if (state.load.status !== 'loaded') return null
    const oldestRevision = state.inHistory.compactedRevision
    if (afterRevision >= oldestRevision) return this.publisher.history(namespace, afterRevision)
    const message = `changes up to revision ${oldestRevision} are not in memory any more`
    throw stateError('REVISION_COMPACTED', message, { namespace, oldestRevision })
  }

  /** Keeps what is known of the namespace in memory until the returned function is called. */
  pin(namespace: string): () => void {
    const state = this.#namespaces.get(namespace)
    state.users++
    return () => {
      state.users--
    }
  }

  update(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
    step: UpdateStep,
  ): Promise<WriteResult | DeleteResult | null> {
    this.#begin(signal)
    this.#checkWritable()
    const closing = this.#closing.signal
    const asker = { writer: step.terms.writer, isConnected: false }
    const run = async (): Promise<WriteResult | DeleteResult | null> => {
      for (let attempt = 1; ; attempt++) {
        const found = await this.read(namespace, key, signal)
        const value = await orAborted(step.decide(found), signal, closing)
        if (value === undefined) return null
        try {
          return await step.submit(value, found)
        } catch (error) {
          checkAttempt(error, attempt)
        }
      }
    }
    return this.#updates.run(turnKey(namespace, key), [signal, closing], run, asker)
  }

  /**
   * Lines up for the turn of an update whose function runs elsewhere; `start` is called when it has come. Whoever asks
   * gives it back with `leaveTurn`, and looks to `closing`.
   */
  enterTurn(
    namespace: string,
    key: string,
    writer: Writer | null,
    parent: Turn | null,
    start: () => void,
  ): Turn {
    this.#checkWritable()
    return this.#updates.enter(turnKey(namespace, key), parent, start, { writer, isConnected: true })
  }

  leaveTurn(turn: Turn): void {
    this.#updates.leave(turn)
  }

  flush(signal: AbortSignal | undefined): Promise<void> {
    this.#begin(signal)
    return orAborted(this.#backend.flush(), signal)
  }

  /** Past conflicts, oldest first. */
  conflicts(signal: AbortSignal | undefined): Promise<readonly ConflictEvent[]> {
    this.#begin(signal)
    return this.#reading(this.#conflicts.entries(), signal)
  }

  /** What was counted, but for the connections, which nobody here knows of. `mayKnow`: of which namespaces keys are told. */
  counted(mayKnow: (namespace: string) => boolean): Omit<StoreMetrics, 'connections'> {
    const { writes, deletes, refused, groupOperations, commitMs, queueWaitMs } = this.#counts
    return {
      uptimeMs: performance.now() - this.#openedAtMs,
      writes,
      deletes,
      refused,
      conflicts: { ...this.publisher.conflicts },
      groupOperations: groupOperations.counts(),
      commitMs: commitMs.counts(),
      commitWaitMs: this.#committer.commitWaitMs,
      queueWaitMs: queueWaitMs.counts(),
      queue: this.#committer.queue,
      reads: { ...this.#reader.counts },
      events: this.publisher.events.counts,
      updates: this.#updatesUnderWay(mayKnow),
      backend: this.#backend.metrics?.() ?? null,
    }
  }

  /** Answers what was asked for, then closes the backend. False if the tree is not up to date. */
  async close(options: {
    flush: boolean
    onProgress?: (done: number, total: number) => void
  }): Promise<boolean> {
    this.#state = 'closed'
    this.#closing.abort(storeClosed())
    await this.#committer.whenIdle()
    if (this.#reads > 0) await new Promise<void>((resolve) => (this.#readsIdle = resolve))
    await this.#conflicts.save()
    return this.#backend.close(options)
  }

  checkOpen(): void {
    if (this.#state === 'closed') throw storeClosed()
  }

  /** Here anybody may write as anybody. */
  checkWriter(): void {}

  #updatesUnderWay(mayKnow: (namespace: string) => boolean): StoreMetrics['updates'] {
    const held = this.#updates.held()
    const atMs = this.#now()
    const holders: HeldUpdate[] = []
    for (const { turn, heldMs, waiting } of held) {
      const [namespace, key] = entryOf(turn.key)
      if (holders.length === HOLDERS_TOLD || !mayKnow(namespace)) continue
      holders.push({ namespace, key, ...turn.asker, heldMs, sinceMs: Math.round(atMs - heldMs), waiting })
    }
    return {
      held: held.length,
      waiting: held.reduce((sum, { waiting }) => sum + waiting, 0),
      longestMs: held.reduce((longest, { heldMs }) => Math.max(longest, heldMs), 0),
      holders,
    }
  }

  #begin(signal: AbortSignal | undefined): void {
    this.checkOpen()
    if (signal?.aborted === true) throw signal.reason
  }

  #checkWritable(): void {
    this.checkOpen()
    if (this.#failure !== null) throw storeFailed(this.#failure)
  }

  #fail(error: AgentStateError): void {
    if (this.#failure !== null) return
    this.#failure = error
    if (this.#state === 'open') this.#state = 'failed'
    this.#committer.fail(error)
    this.publisher.events.publish('failed', { error })
  }

  /** A read that the backend may have to answer: closing waits for it, even if its caller gave up. */
  #reading<T>(read: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#reads++
    read.then(this.#readDone, this.#readDone)
    return orAborted(read, signal)
  }
}

/** No namespace has a slash. */
function turnKey(namespace: string, key: string): string {
  return `${namespace}/${key}`
}

function entryOf(turnKeyText: string): readonly [namespace: string, key: string] {
  const slash = turnKeyText.indexOf('/')
  return [turnKeyText.slice(0, slash), turnKeyText.slice(slash + 1)]
}

function storeClosed(): AgentStateError {
  return stateError('STORE_CLOSED', 'the store was closed', {})
}
