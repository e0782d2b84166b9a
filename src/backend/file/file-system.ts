/**
 * Every system call of the file backend. It is an interface because tests replace the disk by one that forgets what
 * was not synced, and by one whose n-th call fails; so nothing else may touch `node:fs`.
 *
 * Errors are thrown as the system reports them, with its `code`. Paths are absolute and separated by `/`.
 */
import * as fs from 'node:fs'

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other'
  readonly size: number
  readonly mtimeMs: number
  readonly dev: number
  readonly ino: number
  readonly mode: number
  readonly uid: number
  /** Names that the file has; with more than one, what is written into it also appears elsewhere. */
  readonly links: number
}

export interface DirectoryEntry {
  readonly name: string
  readonly kind: FileStat['kind']
}

/**
 * None follows a symlink at the end of the path, where the platform can say so. `read` also returns at once on a FIFO
 * without a writer. What is open may be no file: `stat(fd)` tells; reading a directory or a FIFO fails.
 */
export type OpenFlag = 'read' | 'create-exclusive' | 'read-write' | 'read-write-create' | 'directory'

export interface FileSystem {
  /** `mode` is for files that are made; the process's umask applies. Default 0o600. */
  open(path: string, how: OpenFlag, mode?: number): number
  close(fd: number): void
  /** May read less than asked for; 0 at the end of the file. */
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
  /** May write less than asked for. */
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
  sync(fd: number): void
  /** As `sync`, without metadata that is not needed to read the content back. */
  datasync(fd: number): void
  truncate(fd: number, size: number): void
  /** Sets access and modification time, in milliseconds since 1970. */
  setTimes(fd: number, atMs: number): void
  stat(fd: number): FileStat
  /** Null: nothing there, or something on the way is not a directory. */
  lstat(path: string): FileStat | null
  /** The path with all symlinks resolved; only for finding the root. */
  realPath(path: string): string
  /** The process's umask applies to `mode`. */
  makeDirectory(path: string, mode: number): void
  /** Fails unless the directory is empty. */
  removeDirectory(path: string): void
  /** In no order. Names that are not valid UTF-8 are left out: no key or namespace can stand for them. */
  list(path: string): DirectoryEntry[]
  /** Replaces a file or symlink at `to`, never a directory. */
  rename(from: string, to: string): void
  /** Removes a file or the symlink itself. */
  unlink(path: string): void
  /** For the journal's appender, which must not block its thread for long. May write less than asked for. */
  writeAsync(
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number>
  datasyncAsync(fd: number): Promise<void>
}

const WINDOWS = process.platform === 'win32'
/** Windows has neither constant. */
const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0
const NON_BLOCKING = fs.constants.O_NONBLOCK ?? 0
const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants

const FLAGS: Readonly<Record<OpenFlag, number>> = {
  read: O_RDONLY | NO_FOLLOW | NON_BLOCKING,
  'create-exclusive': O_RDWR | O_CREAT | O_EXCL | NO_FOLLOW,
  'read-write': O_RDWR | NO_FOLLOW,
  'read-write-create': O_RDWR | O_CREAT | NO_FOLLOW,
  directory: O_RDONLY | (fs.constants.O_DIRECTORY ?? 0) | NO_FOLLOW,
}

export const nodeFileSystem: FileSystem = {
  open: (path, how, mode = 0o600) => fs.openSync(path, FLAGS[how], mode),
  close: (fd) => fs.closeSync(fd),
  read: (fd, buffer, offset, length, position) => fs.readSync(fd, buffer, offset, length, position),
  write: (fd, buffer, offset, length, position) => fs.writeSync(fd, buffer, offset, length, position),
  sync: (fd) => fs.fsyncSync(fd),
  datasync: (fd) => fs.fdatasyncSync(fd),
  truncate: (fd, size) => fs.ftruncateSync(fd, size),
  setTimes(fd, atMs) {
    // The time travels as seconds in floating point and is cut off to microseconds; half a microsecond more keeps a
    // whole millisecond whole.
    const seconds = (atMs + 0.0005) / 1000
    fs.futimesSync(fd, seconds, seconds)
  },
  stat: (fd) => fileStat(fs.fstatSync(fd)),
  lstat(path) {
    try {
      const stats = fs.lstatSync(path, { throwIfNoEntry: false })
      return stats === undefined ? null : fileStat(stats)
    } catch (error) {
      // ENOTDIR: a file is in an ancestor's place, so there is nothing at the path.
      if (errorCode(error) === 'ENOTDIR') return null
      throw error
    }
  },
  realPath: (path) => fs.realpathSync.native(path),
  makeDirectory: (path, mode) => fs.mkdirSync(path, { mode }),
  removeDirectory: (path) => fs.rmdirSync(path),
  list: listDirectory,
  rename: WINDOWS ? renameOnWindows : (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  writeAsync: (fd, buffer, offset, length, position) =>
    new Promise((resolve, reject) => {
      fs.write(fd, buffer, offset, length, position, (error, written) =>
        error ? reject(error) : resolve(written),
      )
    }),
  datasyncAsync: (fd) =>
    new Promise((resolve, reject) => {
      fs.fdatasync(fd, (error) => (error ? reject(error) : resolve()))
    }),
}

/** Permissions of what is at the path; follows a symlink. Only for the local socket, which is made by the system. */
export function setMode(path: string, mode: number): void {
  fs.chmodSync(path, mode)
}

/** Writes all bytes. */
export function writeFully(fs: FileSystem, fd: number, bytes: Uint8Array, position: number): void {
  let done = 0
  while (done < bytes.length) {
    const written = fs.write(fd, bytes, done, bytes.length - done, position + done)
    if (written <= 0) throw systemError('EIO', 'the disk took no bytes of a write')
    done += written
  }
}

/** Fills `bytes` and returns how many were read: fewer only where the file ends. */
export function readFully(fs: FileSystem, fd: number, bytes: Uint8Array, position: number): number {
  let done = 0
  while (done < bytes.length) {
    const count = fs.read(fd, bytes, done, bytes.length - done, position + done)
    if (count <= 0) break
    done += count
  }
  return done
}

/** The system's code of an error, such as `ENOSPC`. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'UNKNOWN'
}

/** An error with a code, for what the system would refuse or should have refused. */
export function systemError(code: string, message: string): Error & { readonly code: string } {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}

/** Makes the entries of a directory durable. Windows can't, and keeps them in its own journal: there it does nothing. */
export function syncDirectory(fs: FileSystem, path: string): void {
  if (WINDOWS) return
  const fd = fs.open(path, 'directory')
  try {
    fs.sync(fd)
  } finally {
    fs.close(fd)
  }
}

function fileStat(stats: fs.Stats): FileStat {
  const { size, mtimeMs, dev, ino, mode, uid, nlink: links } = stats
  return { kind: kindOf(stats), size, mtimeMs, dev, ino, mode, uid, links }
}

function kindOf(entry: fs.Stats | fs.Dirent | fs.Dirent<Buffer>): FileStat['kind'] {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  return entry.isSymbolicLink() ? 'symlink' : 'other'
}

/** Where the file system doesn't tell an entry's kind, Node looks it up with lstat. */
function listDirectory(path: string): DirectoryEntry[] {
  const entries = fs.readdirSync(path, { withFileTypes: true }).map((entry) => ({
    name: entry.name,
    kind: kindOf(entry),
  }))
  // Bytes that are not UTF-8 come as U+FFFD, which may also be a name's own character: only the bytes tell.
  if (!entries.some((entry) => entry.name.includes('\uFFFD'))) return entries
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return fs.readdirSync(path, { withFileTypes: true, encoding: 'buffer' }).flatMap((entry) => {
    try {
      return [{ name: decoder.decode(entry.name), kind: kindOf(entry) }]
    } catch {
      // Left out, as the interface says.
      return []
    }
  })
}

/** Windows refuses to replace a file while somebody, a virus scanner say, has it open: a few more tries. */
function renameOnWindows(from: string, to: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let triesLeft = 10; ; triesLeft--) {
    try {
      return fs.renameSync(from, to)
    } catch (error) {
      if (triesLeft === 0 || !['EPERM', 'EACCES', 'EBUSY'].includes(errorCode(error))) throw error
      Atomics.wait(pause, 0, 0, 20)
    }
  }
}
