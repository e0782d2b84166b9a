/**
 * The composition root: puts a backend, the coordinator and the event bus together, and takes them apart again. It owns
 * nothing that they don't.
 */
import { v7 as uuidv7 } from 'uuid'
import type { CloseOptions, Defaults, Events, OpenOptions, Page, Session, Store, Wait } from './api.js'
import { orAborted } from './abort.js'
import type { Backend } from './backend/backend.js'
import { Coordinator } from './coordinator/coordinator.js'
import { stateError } from './errors.js'
import { EventBus } from './event-bus.js'
import { validateNamespace } from './namespace.js'
import { checkOpenOptions, type OpenSettings } from './open-options.js'
import {
  checkCloseOptions,
  checkPage,
  resolveDefaults,
  resolveSignal,
  type ResolvedDefaults,
} from './options.js'
import { pageOf } from './page.js'
import { LocalSession } from './session.js'
import { compareUtf8 } from './utf8.js'
import { fileBackend } from './backend/file/file-backend.js'

/** Opens a root directory, or whatever another backend stands for. */
export async function openStore(options: OpenOptions): Promise<Store> {
  const settings = checkOpenOptions(options)
  const backend = settings.kind === 'file' ? fileBackend(settings) : settings.backend
  const root = settings.kind === 'file' ? settings.root : backend.name
  const signal = settings.defaults.signal
  signal?.throwIfAborted()
  const store = new LocalStore(backend, root, settings)
  const opening = store.open()
  try {
    await orAborted(opening, signal)
  } catch (error) {
    if (signal?.aborted === true) void opening.then(() => store.close({ flush: false })).catch(() => {})
    throw error
  }
  return store
}

class LocalStore implements Store {
  readonly #root: string
  readonly #defaults: ResolvedDefaults
  readonly #bus: EventBus
  readonly #coordinator: Coordinator
  readonly #now = Date.now
  #closing: Promise<void> | null = null

  constructor(backend: Backend, root: string, settings: OpenSettings) {
    this.#root = root
    this.#defaults = settings.defaults
    this.#bus = new EventBus(settings.limits.eventBufferMax)
    this.#coordinator = new Coordinator(backend, settings.limits, this.#bus, this.#now)
  }

  get state(): Store['state'] {
    return this.#coordinator.state
  }

  get events(): Events {
    return this.#bus
  }

  open(): Promise<void> {
    return this.#coordinator.open()
  }

  init(options?: Defaults): Promise<Session>
  init(namespace: string, options?: Defaults): Promise<Session>
  async init(namespaceOrOptions?: string | Defaults, options?: Defaults): Promise<Session> {
    const named = typeof namespaceOrOptions === 'string'
    const namespace = named ? validateNamespace(namespaceOrOptions) : uuidv7()
    const session = this.#session(namespace, named ? options : namespaceOrOptions)
    await this.#coordinator.submit(namespace, { kind: 'create' }, 0, null, session.signal)
    return session.session
  }

  async resume(namespace: string, options?: Defaults): Promise<Session> {
    const name = validateNamespace(namespace)
    const { session, signal } = this.#session(name, options)
    if (await this.#coordinator.exists(name, signal)) return session
    throw stateError(
      'NAMESPACE_NOT_FOUND',
      `agent_state.resume: session '${name}' not found under ${this.#root}`,
      {
        namespace: name,
      },
    )
  }

  async *namespaces(page?: Page): AsyncGenerator<string, void> {
    checkPage(page)
    const names = await this.#coordinator.namespaces(page?.signal ?? this.#defaults.signal)
    yield* pageOf([...names].sort(compareUtf8), page)
  }

  async remove(namespace: string, options?: Wait): Promise<boolean> {
    const name = validateNamespace(namespace)
    const signal = resolveSignal(options, this.#defaults.signal)
    return (await this.#coordinator.submit(name, { kind: 'remove' }, 0, null, signal)) as boolean
  }

  async flush(options?: Wait): Promise<void> {
    return this.#coordinator.flush(resolveSignal(options, this.#defaults.signal))
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
    const onProgress = options?.onProgress
    let flushed = false
    try {
      flushed = await this.#coordinator.close(onProgress === undefined ? { flush } : { flush, onProgress })
    } finally {
      this.#bus.publish('closed', { flushed })
      this.#coordinator.publisher.end()
      this.#bus.end()
    }
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
    const context = { coordinator: this.#coordinator, namespace, root: this.#root, now: this.#now }
    return { session: new LocalSession(context, defaults), signal: defaults.signal }
  }
}
