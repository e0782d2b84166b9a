/** How a command gets the store of a root, and gives it back. */
import { openStore, type Store, type Writer } from '../index.js'
import { findRoot } from './find-root.js'
import type { CommandContext } from './run-command.js'
import { progressBar } from './status-line.js'

/** Other commands have a root for a moment only. */
const OWNER_WAIT_MS = 2000

export interface StoreOptions {
  readonly writer?: Writer
  /** `--root` may name what is not there yet. */
  readonly mayCreate?: boolean
}

export function rootOf({ root }: CommandContext, mayCreate = false): string {
  return findRoot({
    ...{ given: root, environment: process.env['AGENT_STATE_ROOT'], from: process.cwd(), mayCreate },
  })
}

/** Closes the store again, whatever happens; what is not in its files yet is brought there before. */
export async function withStore<T>(
  context: CommandContext,
  { writer, mayCreate }: StoreOptions,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const root = rootOf(context, mayCreate)
  const store = await openStore({ root, writer, ownerWaitMs: OWNER_WAIT_MS, signal: context.signal })
  const stopWarning = store.events.on('warning', ({ code, message }) => context.note(`${code}: ${message}`))
  let result: T
  try {
    result = await use(store)
  } catch (error) {
    // What failed first is what there is to know.
    await close(context, store).catch(() => {})
    throw error
  } finally {
    stopWarning()
  }
  await close(context, store)
  return result
}

async function close({ status }: CommandContext, store: Store): Promise<void> {
  const onProgress = (done: number, total: number): void => {
    if (total > 1)
      status.update(`${progressBar(done, total)} bringing the files up to date, ${done} of ${total}`)
  }
  await store.close({ onProgress })
}
