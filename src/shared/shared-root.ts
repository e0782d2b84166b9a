/**
 * SharedRoot owns the way to a root that several processes share: it connects to the owner or becomes it, and does so again
 * whenever the owner has gone. It talks to `openStore`'s and `connectStore`'s parts, one at a time, and knows who waits for
 * the next.
 *
 * - I10: it opens the root as anybody does; the lock decides who of several owns it.
 * - I11: whoever waits is answered: by a connection, by what keeps it from coming, by the end, or because an owner can't be
 *   reached for too long, also one that is closing and still connected.
 * - The process is kept alive while somebody waits, also for an owner that is closing; looking for one alone does not.
 */
import { onAbort } from '../abort.js'
import { nodeFileSystem } from '../backend/file/file-system.js'
import { storeLayout } from '../backend/file/layout.js'
import { readOwner, rootOwned } from '../backend/file/root-lock.js'
import { AgentStateError, stateError } from '../errors.js'
import { KeepAlive } from '../keep-alive.js'
import type { FileSettings } from '../open-options.js'
import { connectRootParts } from '../remote/connect.js'
import type { StoreParts } from '../store-handle.js'
import { openParts } from '../store.js'
import type { ResolvedDefaults } from '../options.js'
import type { Limits } from '../limits.js'

export type SharedSettings = FileSettings & { readonly defaults: ResolvedDefaults; readonly limits: Limits }

export interface SharedHooks {
  /** There is a connection, the first or another one. What it returns is called when those who waited have gone on. */
  connected(parts: StoreParts): () => void
  /** The owner has gone. */
  lost(): void
}

interface Waiter {
  /** Those who called first go on first. */
  readonly order: number
  /** Of no use to it: the one that it had. */
  readonly not: StoreParts | null
  readonly go: (parts: StoreParts) => void
  readonly fail: (error: unknown) => void
}

interface Waiting extends Waiter {
  /** When it began to wait, by the clock that only goes forward. */
  readonly since: number
}

const PAUSE_FIRST_MS = 10
const PAUSE_MAX_MS = 500

export class SharedRoot {
  readonly #settings: SharedSettings
  readonly #hooks: SharedHooks
  readonly #closing = new AbortController()
  #parts: StoreParts | null = null
  #isOwner = false
  #searching: Promise<void>
  #waiters: Waiting[] = []
  readonly #keepAlive = new KeepAlive()
  /** Set while somebody waits for an owner to close. */
  #lateTimer: NodeJS.Timeout | null = null

  /** `ownerWaitMs` is how long whoever waits does so while the root has an owner that can't be reached. */
  constructor(settings: SharedSettings, hooks: SharedHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#searching = this.#search()
  }

  get parts(): StoreParts | null {
    return this.#parts
  }

  /** Throws unless there is a connection at the moment. */
  current(): StoreParts {
    this.checkOpen()
    if (this.#parts !== null) return this.#parts
    throw stateError('DISCONNECTED', 'the owner of the root has gone, and there is no other one yet', {})
  }

  /** Whether the store is in this process and thread. */
  get isOwner(): boolean {
    return this.#isOwner
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  checkOpen(): void {
    this.#closing.signal.throwIfAborted()
  }

  /** Calls `go` with a connection, other than `not`, at once if there is one, or else `fail`. */
  when(waiter: Waiter, signal: AbortSignal | undefined): void {
    const { not, go, fail } = waiter
    if (this.isClosed) return fail(this.#closing.signal.reason)
    if (signal?.aborted === true) return fail(signal.reason)
    if (this.#parts !== null && this.#parts !== not) return go(this.#parts)
    const release = this.#keepAlive.hold()
    let detach = (): void => {}
    const waiting: Waiting = {
      ...waiter,
      since: performance.now(),
      go: (parts) => {
        detach()
        release()
        go(parts)
      },
      fail: (error) => {
        detach()
        release()
        fail(error)
      },
    }
    this.#waiters.push(waiting)
    if (this.#parts !== null) this.#expectLate()
    if (signal === undefined) return
    detach = onAbort(signal, () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiting)
      waiting.fail(signal.reason)
    })
  }

  /** Nothing is looked for any more. Gives what has to be closed. */
  async end(): Promise<StoreParts | null> {
    this.#closing.abort(stateError('STORE_CLOSED', 'the store was closed', {}))
    this.#failAll(this.#closing.signal.reason)
    if (this.#lateTimer !== null) clearTimeout(this.#lateTimer)
    await this.#searching
    return this.#parts
  }

  async #search(): Promise<void> {
    for (let pauseMs = PAUSE_FIRST_MS; !this.isClosed; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
      try {
        this.#found(await this.#connectOrOpen())
        return
      } catch (error) {
        if (AgentStateError.is(error, 'STORE_OWNED')) this.#failLate(error)
        else this.#failAll(error)
      }
      await this.#pause(pauseMs)
    }
  }

  /** Most of those who share a root don't own it, and connecting is quicker than to be refused. */
  async #connectOrOpen(): Promise<StoreParts> {
    const { root } = this.#settings
    try {
      const parts = await connectRootParts(root, this.#closing.signal)
      this.#isOwner = false
      return parts
    } catch (error) {
      // The owner is opening or closing, or has gone in this moment.
      if (AgentStateError.is(error, 'DISCONNECTED')) throw this.#unreachable(error)
      if (!AgentStateError.is(error, 'NO_OWNER')) throw error
    }
    const defaults = { ...this.#settings.defaults, signal: undefined }
    const parts = await openParts({ ...this.#settings, defaults, ownerWaitMs: 0 })
    this.#isOwner = !this.#settings.ownThread
    return parts
  }

  #found(parts: StoreParts): void {
    this.#parts = parts
    parts.events.on('closed', () => this.#lost(parts))
    const announce = this.#hooks.connected(parts)
    const waiters = this.#waiters.toSorted((a, b) => a.order - b.order)
    this.#waiters = []
    for (const { go } of waiters) go(parts)
    // What a listener does then was not called before what has waited.
    announce()
    if (parts.host.state === 'closed') this.#lost(parts)
  }

  #lost(parts: StoreParts): void {
    if (this.isClosed || this.#parts !== parts) return
    this.#parts = null
    this.#isOwner = false
    this.#hooks.lost()
    // Calls that were under way are rejected before, and wait then, in their order.
    this.#searching = this.#search()
  }

  /** While an owner is closing nobody looks for the next one, and finds those who have waited for long enough. */
  #expectLate(): void {
    const [first] = this.#waiters
    if (first === undefined || this.#lateTimer !== null) return
    const late = (): void => {
      this.#lateTimer = null
      if (this.#parts === null) return
      this.#failLate(this.#unreachable(undefined))
      this.#expectLate()
    }
    const leftMs = first.since + this.#settings.ownerWaitMs - performance.now()
    this.#lateTimer = setTimeout(late, Math.ceil(leftMs)).unref()
  }

  #unreachable(cause: unknown): Error {
    const { lock } = storeLayout(this.#settings.root)
    return rootOwned(lock, readOwner(nodeFileSystem, lock), cause)
  }

  /** Those who have waited for long enough; others began later. */
  #failLate(error: unknown): void {
    const latest = performance.now() - this.#settings.ownerWaitMs
    const late = this.#waiters.filter(({ since }) => since <= latest)
    this.#waiters = this.#waiters.filter(({ since }) => since > latest)
    for (const { fail } of late) fail(error)
  }

  #failAll(error: unknown): void {
    for (const { fail } of this.#waiters.splice(0)) fail(error)
  }

  /** Those who were refused at once don't come back at once. */
  #pause(ms: number): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(timer)
        detach()
        resolve()
      }
      const timer = setTimeout(over, ms * (0.5 + Math.random() / 2)).unref()
      const detach = onAbort(this.#closing.signal, over)
    })
  }
}
