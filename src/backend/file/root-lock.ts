/**
 * Owns the lock file of a root while a store is open (I10). The lock itself is the kernel's (`lock-mechanism.ts`):
 * it ends with the process that has it, however that ends, so there is nothing stale to clean up, and a pid is never
 * believed. What the file says is for the message of the one that was refused. The file is never removed: two stores
 * that lock different files of the same name would both own the root. As people delete lock files, to get rid of what was
 * refused, the root's directory is locked as well. A lock file that has other names too (in a copy of the root made of hard
 * links, say) is locked, but not written to.
 */
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { stateError } from '../../errors.js'
import { errorCode, readFully, writeFully, type FileSystem } from './file-system.js'
import { lockMechanisms, type LockAttempt, type LockMechanism } from './lock-mechanism.js'

export interface RootLockRequest {
  /** The lock file; made if it is missing, never removed. Its directory exists. */
  readonly path: string
  /** Locked too, so that a second file at the path is of no use. */
  readonly directory?: string
  readonly fileMode: number
  /** How long to wait for another owner to go. Default 0. */
  readonly ownerWaitMs?: number
}

export interface RootLock {
  /** Idempotent. */
  release(): void
}

/** What the owner of a root said of itself. */
export interface Owner {
  readonly pid: number | null
  readonly host: string | null
  /** Milliseconds since 1970. */
  readonly since: number | null
}

const PAUSE_FIRST_MS = 10
const PAUSE_MAX_MS = 100
/** Far more than this module writes. */
const OWNER_BYTES_MAX = 4096

/** Rejects with `STORE_OWNED` if another store owns the root, with `ROOT_UNUSABLE` if it can't be locked. */
export async function acquireRootLock(
  fs: FileSystem,
  request: RootLockRequest,
  mechanisms: readonly LockMechanism[] = lockMechanisms(process.platform),
): Promise<RootLock> {
  const deadline = performance.now() + (request.ownerWaitMs ?? 0)
  for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    const answer = await tryOnce(fs, request, mechanisms)
    if (answer === 'replaced') continue
    if ('release' in answer) return answer
    const leftMs = deadline - performance.now()
    if (leftMs <= 0) throw rootOwned(request.path, answer)
    // Keeps the process alive: somebody waits for this store to open.
    await pause(Math.min(pauseMs, leftMs))
  }
}

/** The lock, or who has it; `replaced`: another file is at the path by now. */
async function tryOnce(
  fs: FileSystem,
  { path, directory, fileMode }: RootLockRequest,
  mechanisms: readonly LockMechanism[],
): Promise<RootLock | Owner | 'replaced'> {
  const fd = openLockFile(fs, path, fileMode)
  const file = await lockOpened(fs, fd, path, mechanisms)
  if (file === null) return readOwner(fs, path)
  const locks = [file]
  try {
    if (!isStillAt(fs, fd, path)) {
      releaseAll(locks)
      return 'replaced'
    }
    if (directory !== undefined) {
      const above = await lockOpened(fs, fs.open(directory, 'directory'), directory, mechanisms)
      if (above === null) {
        releaseAll(locks)
        return readOwner(fs, path)
      }
      locks.push(above)
    }
    const isOurs = fs.stat(fd).links === 1
    if (isOurs) writeOwner(fs, fd)
    return heldLock(fs, isOurs ? fd : null, locks)
  } catch (error) {
    releaseAll(locks)
    throw error
  }
}

function releaseAll(locks: readonly RootLock[]): void {
  for (const lock of locks) lock.release()
}

/** Null if somebody else has the lock. Releasing it closes what was opened; otherwise it is closed at once. */
async function lockOpened(
  fs: FileSystem,
  fd: number,
  path: string,
  mechanisms: readonly LockMechanism[],
): Promise<RootLock | null> {
  try {
    const attempt = await tryMechanisms(mechanisms, fd, fs.stat(fd))
    if (attempt.status === 'unavailable') throw unusable(path, attempt.reason)
    if (attempt.status === 'locked') {
      return {
        release() {
          attempt.release()
          closeAnyhow(fs, fd)
        },
      }
    }
  } catch (error) {
    closeAnyhow(fs, fd)
    throw error
  }
  closeAnyhow(fs, fd)
  return null
}

export async function tryMechanisms(
  mechanisms: readonly LockMechanism[],
  fd: number,
  file: { readonly dev: number; readonly ino: number },
): Promise<Exclude<LockAttempt, { status: 'missing' }>> {
  for (const mechanism of mechanisms) {
    const attempt = await mechanism(fd, file)
    // All stores on a machine try in the same order, so that they agree on the mechanism.
    if (attempt.status !== 'missing') return attempt
  }
  return { status: 'unavailable', reason: 'neither `flock` nor `perl` was found, one of them is needed' }
}

/** `fd` is null where nothing was written to the file: it has other names, and is somebody else's too. */
function heldLock(fs: FileSystem, fd: number | null, locks: readonly RootLock[]): RootLock {
  let released = false
  return {
    release() {
      if (released) return
      released = true
      try {
        // So that the next owner is not mistaken for this one before it has written its own.
        if (fd !== null) fs.truncate(fd, 0)
      } catch {
        // Only the message of a refused store would tell.
      }
      releaseAll(locks)
    },
  }
}

function openLockFile(fs: FileSystem, path: string, fileMode: number): number {
  let fd: number | null = null
  try {
    fd = fs.open(path, 'read-write-create', fileMode)
    if (fs.stat(fd).kind === 'file') return fd
  } catch (error) {
    if (fd !== null) closeAnyhow(fs, fd)
    throw unusable(path, errorCode(error), error)
  }
  closeAnyhow(fs, fd)
  throw unusable(path, 'it is not a regular file')
}

function closeAnyhow(fs: FileSystem, fd: number): void {
  try {
    fs.close(fd)
  } catch {
    // It is closed, whatever the system complains of; the first error is the one to report.
  }
}

/** False if the file was removed or replaced, with the whole root perhaps, between opening and locking it. */
function isStillAt(fs: FileSystem, fd: number, path: string): boolean {
  const open = fs.stat(fd)
  const there = fs.lstat(path)
  return there !== null && there.ino === open.ino && there.dev === open.dev
}

function writeOwner(fs: FileSystem, fd: number): void {
  try {
    fs.truncate(fd, 0)
    const owner: Owner = { pid: process.pid, host: hostname(), since: Date.now() }
    writeFully(fs, fd, Buffer.from(`${JSON.stringify(owner)}\n`), 0)
  } catch {
    // The disk is full, say. The lock is held all the same; a refused store can't name its owner.
  }
}

/** What can't be made out is null. */
export function readOwner(fs: FileSystem, path: string): Owner {
  try {
    const json: unknown = JSON.parse(readText(fs, path))
    const { pid, host, since } = (json ?? {}) as Record<string, unknown>
    return {
      pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : null,
      host: typeof host === 'string' ? host : null,
      since: typeof since === 'number' && Number.isFinite(since) ? since : null,
    }
  } catch {
    return { pid: null, host: null, since: null }
  }
}

function readText(fs: FileSystem, path: string): string {
  const bytes = Buffer.alloc(OWNER_BYTES_MAX)
  const fd = fs.open(path, 'read')
  try {
    return bytes.toString('utf8', 0, readFully(fs, fd, bytes, 0))
  } finally {
    closeAnyhow(fs, fd)
  }
}

/** The error for whoever would like to have the root, or reach who has it. */
export function rootOwned(path: string, { pid, host, since }: Owner, cause?: unknown): Error {
  const sameProcess = pid === process.pid && host === hostname()
  const elsewhere = host === null || host === hostname() ? '' : ` on ${host}`
  const other = pid === null ? 'another process' : `process ${pid}${elsewhere}`
  const message =
    `The root is owned by ${sameProcess ? 'another store of this process' : other} (lock ${path}). ` +
    'Close that store first, give ownerWaitMs to wait for it, or use connectStore or shareStore, which go through its owner.'
  return stateError('STORE_OWNED', message, { pid, since, sameProcess, cause })
}

function unusable(path: string, why: string, cause?: unknown): Error {
  const message = `The root can't be locked with ${path}: ${why}. Nothing was changed.`
  return stateError('ROOT_UNUSABLE', message, { path, cause })
}
