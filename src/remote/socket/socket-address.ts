/**
 * Where the owner of a root listens, as the system wants to be told. A Unix socket's path has 107 bytes at most (103 on
 * macOS), and roots may be longer: Linux then reaches the directory through one that is open. On Windows a named pipe stands
 * for the file; its name is made of the root's path.
 */
import { createHash } from 'node:crypto'
import type { FileSystem } from '../../backend/file/file-system.js'

/** Of `sockaddr_un`, without the final zero. */
const ADDRESS_BYTES_MAX = process.platform === 'linux' ? 107 : 103

export interface SocketAddress {
  readonly path: string
  /** To be called when the address was used; nobody must use it afterwards. */
  release(): void
}

/** Null if there is no address that the system takes. Throws if the directory can't be opened. */
export function addressOf(fs: FileSystem, directory: string, name: string): SocketAddress | null {
  const path = `${directory}/${name}`
  if (Buffer.byteLength(path) <= ADDRESS_BYTES_MAX) return { path, release: () => {} }
  if (process.platform !== 'linux') return null
  const fd = fs.open(directory, 'directory')
  return { path: `/proc/self/fd/${fd}/${name}`, release: () => fs.close(fd) }
}

/** `root` is absolute, without symlinks. */
export function pipeName(root: string): string {
  const digest = createHash('sha256').update(root.toLowerCase()).digest('hex')
  return `\\\\.\\pipe\\agent-state-${digest.slice(0, 32)}`
}
