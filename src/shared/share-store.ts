/** For programs that are started several times beside each other: a store, whoever of them owns the root. */
import { setTimeout as pause } from 'node:timers/promises'
import type { FileOpenOptions, Store } from '../api.js'
import { AgentStateError } from '../errors.js'
import { checkOpenOptions } from '../open-options.js'
import { connectRootParts } from '../remote/connect.js'
import { StoreHandle, type StoreParts } from '../store-handle.js'
import { openParts } from '../store.js'

/** While a process owns the root and can't be connected to (yet), it is waited for so long. */
const OWNER_WAIT_MS = 30_000
const PAUSE_MS = 50

/**
 * Opens the root, or connects to the process of the same user that has it open, whichever is right. `ownerWaitMs` (default
 * 30,000) is how long to wait for an owner that can't be connected to: one that is opening or closing.
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
  const waitMs = options.ownerWaitMs ?? OWNER_WAIT_MS
  const deadline = performance.now() + waitMs
  for (;;) {
    try {
      return new StoreHandle(await find({ ...settings, ownerWaitMs: 0 }), settings.defaults)
    } catch (error) {
      const isPassing = AgentStateError.is(error, 'STORE_OWNED') || AgentStateError.is(error, 'DISCONNECTED')
      if (!isPassing || performance.now() >= deadline) throw error
    }
    await pause(PAUSE_MS, undefined, { signal })
  }

  async function find(
    given: Parameters<typeof openParts>[0] & { readonly root: string },
  ): Promise<StoreParts> {
    try {
      return await connectRootParts(given.root, signal)
    } catch (error) {
      if (!AgentStateError.is(error, 'NO_OWNER')) throw error
    }
    return openParts(given)
  }
}
