/** Lets the owner of a root bring its files up to date, as far as it can be reached. */
import type { CommandContext } from './run-command.js'

export interface OwnerSettler {
  /** Resolves when the files show what was acknowledged before. */
  readonly settle: () => Promise<void>
  close(): Promise<void>
}

/** Null if the owner can't be reached. */
export function settleOwner(_context: CommandContext, _root: string): Promise<OwnerSettler | null> {
  return Promise.resolve(null)
}
