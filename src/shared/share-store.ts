/** For programs that are started several times beside each other: a store, whoever of them owns the root. */
import { resolve } from 'node:path'
import type { FileOpenOptions, Store } from '../api.js'
import { checkOpenOptions } from '../open-options.js'
import { StoreHandle, type CloseSettings, type StoreParts } from '../store-handle.js'
import { SharedEvents } from './shared-events.js'
import { SharedHost } from './shared-host.js'
import { SharedRoot, type SharedSettings } from './shared-root.js'

/** While the root has an owner that can't be reached (yet), it is waited for so long. */
const OWNER_WAIT_MS = 30_000

/**
 * Opens the root, or connects to the process of the same user that has it open, whichever is right; and again, when that
 * process has gone: then one of those who share the root becomes its owner, the others connect to it.
 *
 * - Calls wait for the next owner, sessions go on and keep what they have seen. A change that was under way when the owner
 *   went, and of which nobody knows whether it was made, rejects with `OUTCOME_UNKNOWN`. `update` may call its function again.
 * - Subscriptions are made anew. What happened between two owners is not told: iterators get a `lagged` item with `missed:
 *   Infinity`, callbacks an `EVENTS_LAGGED` warning. Watches end with `DISCONNECTED`, ports are closed.
 * - Options are as `openStore` has them; `limits`, `workers`, `mode` and the like hold while this process owns the root.
 *   `ownerWaitMs`, by default 30,000, is how long calls wait for an owner that can't be connected to: one that is opening or
 *   closing, or that was opened with `socket: false`. Then they reject with `STORE_OWNED`.
 *
 * @example
 * ```ts
 * const store = await shareStore({ root: './state' })
 * ```
 */
export async function shareStore(options: FileOpenOptions): Promise<Store> {
  const settings = checkOpenOptions(options)
  if (settings.kind !== 'file') throw new TypeError('shareStore takes a root, not a backend')
  const { signal } = settings.defaults
  signal?.throwIfAborted()
  const ownerWaitMs = options.ownerWaitMs ?? OWNER_WAIT_MS
  return new StoreHandle(await share({ ...settings, ownerWaitMs }, signal), settings.defaults)
}

async function share(settings: SharedSettings, signal: AbortSignal | undefined): Promise<StoreParts> {
  const { limits } = settings
  const events = new SharedEvents(limits.eventBufferMax)
  // The next owner's is the same directory, wherever this process is by then.
  const root = new SharedRoot(
    { ...settings, root: resolve(settings.root) },
    {
      connected: (parts) => events.connected(parts.events),
      lost: () => events.lost(),
    },
  )
  const close = async (closing: CloseSettings): Promise<boolean> => {
    let flushed = false
    try {
      const parts = await root.end()
      flushed = (await parts?.close(closing)) ?? true
      return flushed
    } finally {
      events.closed(flushed)
    }
  }
  try {
    await new Promise<unknown>((go, fail) => root.when({ order: 0, not: null, go, fail }, signal))
  } catch (error) {
    void close({ flush: false }).catch(() => {})
    throw error
  }
  const host = new SharedHost(root, limits)
  return {
    host,
    events,
    root: settings.root,
    createPort: (bounds) => root.current().createPort(bounds),
    metrics: () => host.metrics(),
    close,
  }
}
