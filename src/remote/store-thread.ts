/** The entry of a store's own thread: opens the store, serves its owner, and ends when the owner has gone. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { BASE_DEFAULTS } from '../options.js'
import { LocalStore } from '../store.js'
import { encodeError } from './encode-error.js'
import type { ThreadMessage, ThreadSettings } from './own-thread.js'

async function serve(parent: MessagePort, settings: ThreadSettings): Promise<void> {
  const { workerUrl, ...cloned } = settings
  // Keeps the thread alive while nothing happens.
  parent.on('message', () => {})
  try {
    const store = new LocalStore({
      ...cloned,
      kind: 'file',
      defaults: BASE_DEFAULTS,
      workerUrl: workerUrl === null ? null : new URL(workerUrl),
      ownThread: false,
      threadUrl: null,
    })
    await store.open(undefined)
    const ownerGone = async (): Promise<void> => {
      await store.close({ flush: false }).catch(() => {})
      parent.close()
    }
    const port = store.ports.createOwnerPort(
      (closing) => store.close(closing),
      () => void ownerGone(),
    )
    const message: ThreadMessage = { port }
    parent.postMessage(message, [port])
  } catch (error) {
    const message: ThreadMessage = { error: encodeError(error) }
    parent.postMessage(message)
    parent.close()
  }
}

if (parentPort !== null) void serve(parentPort, workerData as ThreadSettings)
