/** How a command gets the store of a root, and gives it back. */
import { AgentStateError, connectStore, shareStore, type Store, type Writer } from '../index.js'
import { warningText } from './describe-error.js'
import { findRoot } from './find-root.js'
import type { CommandContext } from './run-command.js'

/** How long an owner may take to open or close the root: other commands have it for a moment only. */
const OWNER_WAIT_MS = 5000
/** An application that closes the root brings all of its files up to date before. */
const APPLICATION_WAIT_MS = 300_000
const TRIES = 10

export interface StoreOptions {
  readonly writer?: Writer
  /** `--root` may name what is not there yet. */
  readonly mayCreate?: boolean
  /** What is done with the store can't be done again after it was given up half-way. */
  readonly once?: boolean
  /** Goes on when the owner closes, with the next one or as the owner itself. */
  readonly outlivesOwner?: boolean
  /** What is said of a key's damaged metadata; null: nothing, the command says it itself. */
  readonly metadataAdvice?: string | null
}

export function rootOf({ root, surroundings }: CommandContext, mayCreate = false): string {
  const { environment, directory } = surroundings
  return findRoot({
    ...{ given: root, environment: environment['AGENT_STATE_ROOT'], from: directory, mayCreate },
  })
}

/** Closes the store again, whatever happens; what is not in its files yet is brought there before. */
export async function withStore<T>(
  context: CommandContext,
  options: StoreOptions,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  for (let triesLeft = TRIES; ; triesLeft--) {
    try {
      return await withStoreOnce(context, options, use)
    } catch (error) {
      // Another command had the root for a moment, and closed it; nothing was changed, for sure.
      const isLost = AgentStateError.is(error, 'DISCONNECTED') && error.outcome === 'unchanged'
      if (!isLost || options.once === true || context.output.hasWritten || triesLeft === 0) throw error
    }
  }
}

async function withStoreOnce<T>(
  context: CommandContext,
  { writer, mayCreate, outlivesOwner = false, metadataAdvice }: StoreOptions,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const root = rootOf(context, mayCreate)
  const { store, isOwner } = outlivesOwner
    ? await sharedStoreOf(context, root, writer, APPLICATION_WAIT_MS)
    : await storeOf(context, root, writer)
  const stopWarning = store.events.on('warning', (warning) =>
    context.note(warningText(warning, metadataAdvice)),
  )
  try {
    let result: T
    try {
      result = await use(store)
    } catch (error) {
      // What failed first is what there is to know.
      await close(context, store, isOwner).catch(() => {})
      throw error
    }
    await close(context, store, isOwner)
    return result
  } finally {
    stopWarning()
  }
}

/** Through the owner of the root, if it has one. */
async function storeOf(
  context: CommandContext,
  root: string,
  writer: Writer | undefined,
): Promise<{ store: Store; isOwner: boolean }> {
  try {
    return { store: await connectStore({ root }, { writer, signal: context.signal }), isOwner: false }
  } catch (error) {
    // Closing just now, which the next one waits for.
    if (!AgentStateError.is(error, 'NO_OWNER') && !AgentStateError.is(error, 'DISCONNECTED')) throw error
  }
  return sharedStoreOf(context, root, writer)
}

async function sharedStoreOf(
  { signal }: CommandContext,
  root: string,
  writer: Writer | undefined,
  ownerWaitMs = OWNER_WAIT_MS,
): Promise<{ store: Store; isOwner: boolean }> {
  return { store: await shareStore({ root, writer, signal, ownerWaitMs }), isOwner: true }
}

/** Another process that owns the root brings its files up to date in its own time, and may give no answer any more. */
async function close({ status, signal }: CommandContext, store: Store, isOwner: boolean): Promise<void> {
  if (!isOwner) return store.close({ flush: false, signal })
  const onProgress = (done: number, total: number): void => {
    if (total > 1) status.bar(done, total, `bringing the files up to date, ${done} of ${total}`)
  }
  await store.close({ flush: true, onProgress })
}
