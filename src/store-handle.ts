/**
 * A store as users hold it: checks what they pass and asks the host, in this thread or another. It owns the defaults of
 * its sessions and whether it is being closed.
 */
import type { MessagePort } from 'node:worker_threads'
import { v7 as uuidv7 } from 'uuid'
import type {
  CloseOptions,
  ConflictEvent,
  ConflictFilter,
  Defaults,
  Events,
  Page,
  PortBounds,
  Session,
  Store,
  Wait,
} from './api.js'
import { orAborted } from './abort.js'
import { wallClockMs } from './clock.js'
import { stateError } from './errors.js'
import { closedHealth, healthOf, noAnswer, type Health } from './health.js'
import { isThenable } from './is-thenable.js'
import { thrownText } from './messages.js'
import type { StoreMetrics } from './metrics.js'
import { validateNamespace } from './namespace.js'
import {
  checkCloseOptions,
  checkFilter,
  checkPage,
  resolveDefaults,
  resolveSignal,
  type ResolvedDefaults,
} from './options.js'
import { SessionHandle } from './session.js'
import type { StoreHost } from './store-host.js'

/** What is counted is told at once, unless whoever counts is blocked; that is worth telling too. */
const ANSWER_MS = 3000

export interface CloseSettings {
  readonly flush: boolean
  readonly onProgress?: (done: number, total: number) => void
}

export interface StoreParts {
  readonly host: StoreHost
  readonly events: Events
  /** What messages and handover documents name as the root. */
  readonly root: string
  createPort(bounds: PortBounds | undefined): MessagePort
  metrics(): Promise<StoreMetrics>
  /** Called once. False if the tree should be up to date and is not. */
  close(settings: CloseSettings): Promise<boolean>
}

export class StoreHandle implements Store {
  readonly #parts: StoreParts
  readonly #host: StoreHost
  readonly #defaults: ResolvedDefaults
  #closing: Promise<void> | null = null

  constructor(parts: StoreParts, defaults: ResolvedDefaults) {
    this.#parts = parts
    this.#host = parts.host
    this.#defaults = defaults
  }

  get state(): Store['state'] {
    return this.#host.state
  }

  get events(): Events {
    return this.#parts.events
  }

  init(options?: Defaults): Promise<Session>
  init(namespace: string, options?: Defaults): Promise<Session>
  async init(namespaceOrOptions?: string | Defaults, options?: Defaults): Promise<Session> {
    const named = typeof namespaceOrOptions === 'string'
    if (!named && namespaceOrOptions !== undefined && options !== undefined) {
      throw new TypeError('init takes options once, behind the namespace or alone')
    }
    const namespace = named ? validateNamespace(namespaceOrOptions) : uuidv7()
    // A namespace that is undefined is as good as none: the options behind it are meant all the same.
    const given = named || namespaceOrOptions === undefined ? options : namespaceOrOptions
    const session = this.#session(namespace, given)
    await this.#host.submit(namespace, { kind: 'create' }, 0, null, session.signal)
    return session.session
  }

  async resume(namespace: string, options?: Defaults): Promise<Session> {
    const name = validateNamespace(namespace)
    const { session, signal } = this.#session(name, options)
    if (await this.#host.exists(name, signal)) return session
    throw stateError(
      'NAMESPACE_NOT_FOUND',
      `agent_state.resume: session '${name}' not found under ${this.#parts.root}`,
      {
        namespace: name,
      },
    )
  }

  async *namespaces(page?: Page): AsyncGenerator<string, void> {
    const asked = checkPage(page)
    yield* await this.#host.namespaces(asked, asked?.signal ?? this.#defaults.signal)
  }

  async remove(namespace: string, options?: Wait): Promise<boolean> {
    const name = validateNamespace(namespace)
    const signal = resolveSignal(options, this.#defaults.signal)
    return (await this.#host.submit(name, { kind: 'remove' }, 0, null, signal)) as boolean
  }

  createPort(bounds?: PortBounds): MessagePort {
    return this.#parts.createPort(bounds)
  }

  async metrics(): Promise<StoreMetrics> {
    this.#host.checkOpen()
    return this.#parts.metrics()
  }

  async conflicts(filter?: ConflictFilter): Promise<readonly ConflictEvent[]> {
    checkFilter(filter)
    const wanted = filter?.namespace
    const events = await this.#host.conflicts(filter?.signal ?? this.#defaults.signal)
    return wanted === undefined ? events : events.filter(({ namespace }) => namespace === wanted)
  }

  async health(): Promise<Health> {
    const { state } = this
    if (state === 'closed') return closedHealth(this.#host)
    try {
      const metrics = await within(ANSWER_MS, this.#parts.metrics())
      return metrics === null ? noAnswer(state, ANSWER_MS) : healthOf(state, metrics)
    } catch (error) {
      if (this.state === 'closed') return closedHealth(this.#host)
      throw error
    }
  }

  async flush(options?: Wait): Promise<void> {
    return this.#host.flush(resolveSignal(options, this.#defaults.signal))
  }

  /** A second call gives the first one's promise; its own options count for nothing but the signal. */
  async close(options?: CloseOptions): Promise<void> {
    checkCloseOptions(options)
    this.#closing ??= this.#close(options)
    return orAborted(this.#closing, options?.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(options: CloseOptions | undefined): Promise<void> {
    const flush = options?.flush ?? true
    const onProgress = guarded(options?.onProgress)
    const flushed = await this.#parts.close(onProgress === undefined ? { flush } : { flush, onProgress })
    if (flush && !flushed) {
      throw stateError(
        'CLOSE_INCOMPLETE',
        'the store is closed, but not all files could be brought up to date',
        {},
      )
    }
  }

  #session(
    namespace: string,
    options: Defaults | undefined,
  ): { session: Session; signal: AbortSignal | undefined } {
    const defaults = resolveDefaults(this.#defaults, options)
    this.#host.checkWriter(defaults.writer)
    const context = { host: this.#host, namespace, root: this.#parts.root, now: wallClockMs }
    return { session: new SessionHandle(context, defaults), signal: defaults.signal }
  }
}

/** What the promise gives, or null if that takes too long. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A progress callback is no reason to stop: what it throws, or rejects with, becomes a warning of the process. */
function guarded(onProgress: CloseOptions['onProgress']): CloseOptions['onProgress'] {
  if (onProgress === undefined) return undefined
  const failed = (error: unknown): void => {
    const message = `the progress callback of close() failed: ${thrownText(error)}`
    process.emitWarning(message, { type: 'AgentStateWarning', code: 'LISTENER_FAILED' })
  }
  const call: (done: number, total: number) => unknown = onProgress
  return (done, total) => {
    try {
      const result = call(done, total)
      if (isThenable(result)) result.then(undefined, failed)
    } catch (error) {
      failed(error)
    }
  }
}
