import type { FileSystem } from './file-system.js'
import type { JournalPosition } from './tasks.js'

export interface CheckpointState {
  /** Nothing was appended since the tree was brought up to date. */
  readonly clean: boolean
  /** No revision above it was ever assigned. */
  readonly ceiling: number
  /** The revision that entries changed by others have in this opening. */
  readonly epoch: number
  /** The oldest frame that is still needed. */
  readonly position: JournalPosition
}

/** Makes the file, replacing what is there; durable when it returns. */
export function createCheckpoint(
  _fs: FileSystem,
  _path: string,
  _storeId: string,
  _state: CheckpointState,
  _mode: number,
): void {
  throw new Error('not written yet')
}

/** `METADATA_CORRUPT` if there is no valid slot of this store. */
export function readCheckpoint(
  _fs: FileSystem,
  _path: string,
  _storeId: string,
): { readonly state: CheckpointState; readonly generation: number } {
  throw new Error('not written yet')
}

export class CheckpointFile {
  static open(_fs: FileSystem, _path: string, _storeId: string): CheckpointFile {
    throw new Error('not written yet')
  }

  /** What the file says, as far as it is known to be durable. */
  get state(): CheckpointState {
    throw new Error('not written yet')
  }

  /** Resolves when both slots say so durably. Writes take turns; the first failure is final. */
  write(_state: CheckpointState): Promise<void> {
    throw new Error('not written yet')
  }

  /** Waits for the writes that were asked for. */
  close(): Promise<void> {
    throw new Error('not written yet')
  }
}
