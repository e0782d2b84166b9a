/** Lets the owner of a root bring its files up to date, as far as it can be reached. */
import { connectStore } from '../index.js'
import type { CommandContext } from './run-command.js'

export interface OwnerSettler {
  /** Resolves when the files show what was acknowledged before. */
  readonly settle: () => Promise<void>
  close(): Promise<void>
}

/** Null if the owner can't be reached. */
export async function settleOwner(
  { signal, note }: CommandContext,
  root: string,
): Promise<OwnerSettler | null> {
  try {
    const store = await connectStore({ root }, { signal })
    return {
      settle: () => store.flush({ signal }),
      close: () => store.close({ flush: false, signal }),
    }
  } catch (error) {
    signal.throwIfAborted()
    note(`the owner can't be asked: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}
