/**
 * SharedHost is what the sessions of a shared store ask: it passes on what they ask to whoever owns the root at the moment.
 *
 * - A call that finds no owner waits for the next. One that was under way when the owner went is made again if it is certain
 *   that it changed nothing (`DISCONNECTED`), in the order in which the calls were made; a change of which nobody knows is
 *   not: its caller gets `OUTCOME_UNKNOWN` (I11).
 * - What sessions have seen stays true: revisions are as durable as the changes that they belong to.
 * - I9: a session checks what it asks by the limits of the owner that there is then. Before another one is asked, it is checked
 *   by the limits of that one: it may be this process, where nobody else would, or take no message that is so long.
 */
import { ByteSlab } from '../byte-slab.js'
import type {
  ConflictEvent,
  DeleteResult,
  Page,
  WatchItem,
  WatchOptions,
  WriteResult,
  Writer,
} from '../api.js'
import type { RequestAnswer, RequestBody } from '../requests.js'
import type { SeenKeys } from '../seen-keys.js'
import { AgentStateError } from '../errors.js'
import { checkKey } from '../key.js'
import type { Limits } from '../limits.js'
import { oneAtATime } from '../one-at-a-time.js'
import { checkOperations } from '../operations.js'
import type { StoreParts } from '../store-handle.js'
import type { FoundEntry, HostState, KnownHead, StoreHost, UpdateStep } from '../store-host.js'
import type { SharedRoot } from './shared-root.js'
import { SharedWatch } from './shared-watch.js'

/** Owners that go away during one call; then its caller is to decide. */
const ATTEMPTS_MAX = 5

export class SharedHost implements StoreHost {
  readonly slab = new ByteSlab()
  /** Of the owner at the moment. */
  readonly metrics = oneAtATime(() => this.#call(undefined, (parts) => parts.metrics()))
  readonly #root: SharedRoot
  /** As the last owner has them. */
  #limits: Limits
  #order = 0

  constructor(root: SharedRoot, limits: Limits) {
    this.#root = root
    this.#limits = limits
  }

  get limits(): Limits {
    this.#limits = this.#root.parts?.host.limits ?? this.#limits
    return this.#limits
  }

  get state(): HostState {
    if (this.#root.isClosed) return 'closed'
    return this.#root.parts?.host.state === 'failed' ? 'failed' : 'open'
  }

  checkOpen(): void {
    this.#root.checkOpen()
  }

  checkWriter(writer: Writer | null): void {
    this.#root.parts?.host.checkWriter(writer)
  }

  submit(
    namespace: string,
    body: RequestBody,
    bytes: number,
    seen: SeenKeys | null,
    signal: AbortSignal | undefined,
  ): Promise<RequestAnswer> {
    const { limits } = this
    return this.#call(signal, ({ host }) => {
      if (host.limits !== limits && body.kind === 'change')
        checkOperations(body.operations, bytes, body.single, host.limits)
      return host.submit(namespace, body, bytes, seen, signal)
    })
  }

  read(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<FoundEntry | null> | FoundEntry | null {
    this.checkOpen()
    const { isOwner, parts } = this.#root
    if (isOwner && parts !== null) return parts.host.read(namespace, key, signal)
    return this.#callOf(key, signal, async ({ host }) => host.read(namespace, key, signal))
  }

  head(namespace: string, key: string, signal: AbortSignal | undefined): Promise<KnownHead | null> {
    return this.#callOf(key, signal, ({ host }) => host.head(namespace, key, signal))
  }

  list(namespace: string, page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#call(signal, ({ host }) => host.list(namespace, page, signal))
  }

  namespaces(page: Page | undefined, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#call(signal, ({ host }) => host.namespaces(page, signal))
  }

  exists(namespace: string, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#call(signal, ({ host }) => host.exists(namespace, signal))
  }

  flush(signal: AbortSignal | undefined): Promise<void> {
    return this.#call(signal, ({ host }) => host.flush(signal))
  }

  conflicts(signal: AbortSignal | undefined): Promise<readonly ConflictEvent[]> {
    return this.#call(signal, ({ host }) => host.conflicts(signal))
  }

  /** What the update writes comes back here, and finds the next owner if there is one by then. */
  update(
    namespace: string,
    key: string,
    signal: AbortSignal | undefined,
    step: UpdateStep,
  ): Promise<WriteResult | DeleteResult | null> {
    // What the caller's own function throws says nothing of the owner, whatever its code is.
    const thrown = new Set<unknown>()
    const guarded: UpdateStep = {
      terms: step.terms,
      decide: async (found) => {
        try {
          return await step.decide(found)
        } catch (error) {
          thrown.add(error)
          throw error
        }
      },
      submit: (value, found) => step.submit(value, found),
    }
    const ask = ({ host }: StoreParts): Promise<WriteResult | DeleteResult | null> =>
      host.update(namespace, key, signal, guarded)
    return this.#callOf(key, signal, ask, (error) => thrown.has(error))
  }

  watch(namespace: string, options: WatchOptions): AsyncIterable<WatchItem> {
    this.checkOpen()
    const items = new Promise<AsyncIterable<WatchItem>>((resolve, reject) => {
      const go = (parts: StoreParts): void => {
        try {
          resolve(parts.host.watch(namespace, options))
        } catch (error) {
          reject(error)
        }
      }
      this.#root.when({ order: ++this.#order, not: null, go, fail: reject }, options.signal)
    })
    return new SharedWatch(items, () => this.#root.isClosed)
  }

  /** Asks about a key. */
  #callOf<T>(
    key: string,
    signal: AbortSignal | undefined,
    ask: (parts: StoreParts) => Promise<T>,
    isCallers?: (error: unknown) => boolean,
  ): Promise<T> {
    const { limits } = this
    const check = (parts: StoreParts): Promise<T> => {
      if (parts.host.limits !== limits) checkKey(key, parts.host.limits.keyBytesMax)
      return ask(parts)
    }
    return this.#call(signal, check, isCallers)
  }

  #call<T>(
    signal: AbortSignal | undefined,
    ask: (parts: StoreParts) => Promise<T>,
    isCallers: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    const order = ++this.#order
    return new Promise((resolve, fail) => {
      let attempts = 0
      const go = (parts: StoreParts): void => {
        attempts++
        const failed = (error: unknown): void => {
          const isOwners = AgentStateError.is(error, 'DISCONNECTED') && !isCallers(error)
          const isUndone = isOwners && !this.#root.isClosed
          if (!isUndone || attempts === ATTEMPTS_MAX) fail(error)
          else this.#root.when({ order, not: parts, go, fail }, signal)
        }
        try {
          ask(parts).then(resolve, failed)
        } catch (error) {
          failed(error)
        }
      }
      this.#root.when({ order, not: null, go, fail }, signal)
    })
  }
}
