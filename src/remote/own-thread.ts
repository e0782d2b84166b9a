/** A store in a thread of its own: the opener is one connection among others, which closes the store when it is closed. */
import { resolve as resolvePath } from 'node:path'
import { Worker, type MessagePort } from 'node:worker_threads'
import { orAborted } from '../abort.js'
import { stateError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { FileSettings } from '../open-options.js'
import type { ResolvedDefaults } from '../options.js'
import type { StoreParts } from '../store-handle.js'
import { connectPort, partsOf } from './connect.js'
import { decodeError, type EncodedError } from './encode-error.js'

/** What the thread is started with: the part of an opening's settings that it needs, and that can be cloned. */
export interface ThreadSettings extends Pick<
  FileSettings,
  'root' | 'ownerWaitMs' | 'workers' | 'mode' | 'socket'
> {
  readonly limits: Limits
  readonly workerUrl: string | null
}

/** What the thread says once. */
export type ThreadMessage = { readonly port: MessagePort } | { readonly error: EncodedError }

type Settings = FileSettings & { readonly defaults: ResolvedDefaults; readonly limits: Limits }

export async function openInOwnThread(settings: Settings): Promise<StoreParts> {
  const { signal } = settings.defaults
  signal?.throwIfAborted()
  const opening = open(settings)
  try {
    return await orAborted(opening, signal)
  } catch (error) {
    // What opens after it was given up is closed again.
    if (signal?.aborted === true) void opening.then((parts) => parts.close({ flush: false })).catch(() => {})
    throw error
  }
}

async function open(settings: Settings): Promise<StoreParts> {
  const thread = new StoreThread(settings)
  const port = await thread.opened
  const connected = await connectPort(port, undefined, () => thread.ended())
  // As of a store in this thread: published in the first turn of the event loop after it was opened.
  setImmediate(() => connected.connection.events.publishEarly())
  thread.unref()
  return partsOf(connected, async (closing) => {
    try {
      return await connected.host.close(closing)
    } finally {
      await thread.ended()
    }
  })
}

/** Owns the thread from its start to its end. It keeps the process alive while it is opened and while it ends. */
class StoreThread {
  /** Resolves with the owner's port. */
  readonly opened: Promise<MessagePort>
  readonly #worker: Worker
  readonly #exited: Promise<void>
  #error: unknown

  constructor({ root, ownerWaitMs, workers, workerUrl, mode, limits, threadUrl, socket }: Settings) {
    const workerData: ThreadSettings = {
      root: resolvePath(root),
      ownerWaitMs,
      workers,
      mode,
      limits,
      socket,
      workerUrl: workerUrl?.href ?? null,
    }
    const worker =
      threadUrl === null
        ? new Worker(new URL('./store-thread.js', import.meta.url), { workerData })
        : new Worker(threadUrl, { workerData })
    this.#worker = worker
    worker.once('error', (error) => (this.#error = error))
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
    this.opened = new Promise((resolve, reject) => {
      worker.once('message', (message: ThreadMessage) => {
        if ('port' in message) resolve(message.port)
        else reject(decodeError(message.error))
      })
      void this.#exited.then(() => reject(endedEarly(this.#error)))
    })
  }

  unref(): void {
    this.#worker.unref()
  }

  /** Resolves when the thread has ended, with the error that it ended with, if it did. */
  async ended(): Promise<unknown> {
    this.#worker.ref()
    await this.#exited
    return this.#error
  }
}

function endedEarly(cause: unknown): Error {
  return stateError('DISCONNECTED', "the store's thread ended before the store was open", { cause })
}
