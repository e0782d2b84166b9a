/**
 * Keeps a root from being opened while it is looked at, without writing to it: the lock is the kernel's, and the lock file
 * is only opened for reading. Whoever opens the root meanwhile is refused, as by any owner.
 */
import { storeLayout } from '../backend/file/layout.js'
import { lockMechanisms } from '../backend/file/lock-mechanism.js'
import { readOwner, tryMechanisms, type Owner } from '../backend/file/root-lock.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'

export type { Owner }

export type QuietLock =
  | { readonly status: 'held'; release(): void }
  | { readonly status: 'owned'; readonly owner: Owner }
  /** Locks don't work here; nothing is known of an owner. */
  | { readonly status: 'unavailable'; readonly reason: string }

export async function lockQuietly(root: string): Promise<QuietLock> {
  const { lock } = storeLayout(root)
  const held: (() => void)[] = []
  const release = (): void => {
    for (const free of held.splice(0)) free()
  }
  const places = [[lock, 'read'] as const, [root, 'directory'] as const]
  for (const [path, how] of places) {
    // A root of which the lock file was deleted is locked by its directory.
    if (path === lock && fs.lstat(lock)?.kind !== 'file') continue
    const fd = fs.open(path, how)
    held.push(() => fs.close(fd))
    const attempt = await tryMechanisms(lockMechanisms(process.platform), fd, fs.stat(fd))
    if (attempt.status === 'locked') {
      held.push(() => attempt.release())
      continue
    }
    release()
    if (attempt.status === 'owned') return { status: 'owned', owner: readOwner(fs, lock) }
    return { status: 'unavailable', reason: attempt.reason }
  }
  return { status: 'held', release }
}
