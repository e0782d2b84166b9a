import type { FileSystem } from './file-system.js'

export interface RootLockRequest {
  /** The lock file; made if it is missing, never removed. Its directory exists. */
  readonly path: string
  readonly fileMode: number
  /** How long to wait for another owner to go. Default 0. */
  readonly ownerWaitMs?: number
}

export interface RootLock {
  /** Idempotent. */
  release(): void
}

/** Rejects with `STORE_OWNED` if another store owns the root, with `ROOT_UNUSABLE` if it can't be locked. */
export async function acquireRootLock(_fs: FileSystem, _request: RootLockRequest): Promise<RootLock> {
  throw new Error('not written yet')
}
