/**
 * The composition root: puts a backend, the coordinator, the event bus and the ports for other threads together, and
 * takes them apart again. It owns nothing that they don't.
 */
import type { OpenOptions, Store } from './api.js'
import { orAborted } from './abort.js'
import { fileBackend } from './backend/file/file-backend.js'
import { wallClockMs } from './clock.js'
import { Coordinator } from './coordinator/coordinator.js'
import { EventBus } from './event-bus.js'
import { checkOpenOptions, type OpenSettings } from './open-options.js'
import { openInOwnThread } from './remote/own-thread.js'
import { PortHost } from './remote/port-host.js'
import { StoreHandle, type CloseSettings, type StoreParts } from './store-handle.js'

/** Opens a root directory, or whatever another backend stands for. */
export async function openStore(options: OpenOptions): Promise<Store> {
  const settings = checkOpenOptions(options)
  if (settings.kind === 'file' && settings.ownThread) return openInOwnThread(settings)
  const store = new LocalStore(settings)
  await store.open(settings.defaults.signal)
  return new StoreHandle(store.parts, settings.defaults)
}

/** A store whose coordinator is in this thread, without the handle that its users have. */
export class LocalStore {
  readonly parts: StoreParts
  readonly ports: PortHost
  readonly #bus: EventBus
  readonly #coordinator: Coordinator
  #closing: Promise<boolean> | null = null

  constructor(settings: OpenSettings) {
    const { limits } = settings
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
      close: (options) => this.close(options),
    }
  }

  /** What opens after it was given up is closed again. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const opening = this.#coordinator.open()
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

  async #close(options: CloseSettings): Promise<boolean> {
    let flushed = false
    try {
      flushed = await this.#coordinator.close(options)
    } finally {
      this.#bus.publish('closed', { flushed })
      this.#coordinator.publisher.end()
      this.#bus.end()
      await this.ports.close(flushed)
    }
    return flushed
  }
}
