/**
 * The composition root: puts a backend, the coordinator, the event bus and the ports for other threads together, and
 * takes them apart again. It owns nothing that they don't.
 */
import { resolve } from 'node:path'
import type { OpenOptions, Store } from './api.js'
import { orAborted } from './abort.js'
import { fileBackend } from './backend/file/file-backend.js'
import { wallClockMs } from './clock.js'
import { Coordinator } from './coordinator/coordinator.js'
import { EventBus } from './event-bus.js'
import { thrownText } from './messages.js'
import { checkOpenOptions, type OpenSettings } from './open-options.js'
import { openInOwnThread } from './remote/own-thread.js'
import { PortHost } from './remote/port-host.js'
import { SocketServer } from './remote/socket/socket-server.js'
import { StoreHandle, type CloseSettings, type StoreParts } from './store-handle.js'

/**
 * Opens a root directory, which is made if it is missing, or whatever another backend stands for. What an unclean end left is
 * recovered before it resolves. Rejects with `STORE_OWNED` if it is open already, in this process or another (`ownerWaitMs`
 * waits for that to end; `connectStore` and `shareStore` use the other's), with `ROOT_UNUSABLE`, `FORMAT_TOO_NEW` or
 * `JOURNAL_CORRUPT` if it can't be opened. Call `close()` in the end, or use `await using`: it brings the files up to date.
 *
 * @example
 * ```ts
 * const store = await openStore({ root: './state' })
 * const session = await store.init('review-7', { writer: { writerId: 'ada' } })
 * await session.write('plan.md', '# Plan')
 * await store.close()
 * ```
 */
export async function openStore(options: OpenOptions): Promise<Store> {
  const settings = checkOpenOptions(options)
  return new StoreHandle(await openParts(settings), settings.defaults)
}

export async function openParts(settings: OpenSettings): Promise<StoreParts> {
  if (settings.kind === 'file' && settings.ownThread) return openInOwnThread(settings)
  const store = new LocalStore(settings)
  await store.open(settings.defaults.signal)
  return store.parts
}

/** A store whose coordinator is in this thread, without the handle that its users have. */
export class LocalStore {
  readonly parts: StoreParts
  readonly ports: PortHost
  readonly #bus: EventBus
  readonly #coordinator: Coordinator
  readonly #settings: OpenSettings
  /** Null where no other process can connect. */
  #sockets: SocketServer | null = null
  #closing: Promise<boolean> | null = null

  constructor(settings: OpenSettings) {
    const { limits } = settings
    this.#settings = settings
    const backend = settings.kind === 'file' ? fileBackend(settings) : settings.backend
    const root = settings.kind === 'file' ? settings.root : backend.name
    this.#bus = new EventBus(limits.eventBufferMax)
    this.#coordinator = new Coordinator(backend, limits, this.#bus, wallClockMs)
    this.ports = new PortHost(this.#coordinator, this.#bus, root)
    this.parts = {
      host: this.#coordinator,
      events: this.#bus,
      root,
      createPort: (bounds) => this.ports.createPort(bounds),
      metrics: async () => this.ports.metrics(),
      close: (options) => this.close(options),
    }
  }

  /** What opens after it was given up is closed again. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const opening = this.#open()
    try {
      await orAborted(opening, signal)
    } catch (error) {
      if (signal?.aborted === true) {
        void opening.then(() => this.close({ flush: false })).catch(() => {})
      }
      throw error
    }
  }

  /** A second call gives the first one's answer. */
  close(options: CloseSettings): Promise<boolean> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  /** A root that can't be reached from other processes is as good as it was. */
  async #open(): Promise<void> {
    const settings = this.#settings
    // The working directory may change meanwhile.
    const root = settings.kind === 'file' && settings.socket ? resolve(settings.root) : null
    await this.#coordinator.open()
    if (root === null || this.#closing !== null) return
    this.#sockets = new SocketServer({
      root,
      limits: settings.limits,
      createPort: () => this.ports.createPort(undefined),
      onFailure: (error) => {
        const message = `other processes can't connect to the store: ${thrownText(error)}`
        // Nobody can have subscribed yet.
        setImmediate(() => this.#bus.warn('SOCKET_UNAVAILABLE', message))
      },
    })
    this.#sockets.listen()
  }

  async #close(options: CloseSettings): Promise<boolean> {
    let flushed = false
    this.#sockets?.stopListening()
    try {
      flushed = await this.#coordinator.close(options)
    } finally {
      this.#bus.publish('closed', { flushed })
      this.#coordinator.publisher.end()
      this.#bus.end()
      await this.ports.close(flushed)
      await this.#sockets?.finish()
    }
    return flushed
  }
}
