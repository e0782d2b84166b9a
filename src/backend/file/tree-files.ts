/** Looks at single files of the tree without following symlinks and without waiting at a FIFO. */
import { crc32 } from 'node:zlib'
import type { Directories } from './directories.js'
import { readFully, type FileStat, type FileSystem } from './file-system.js'
import { firstMetadataPath, parentOf, secondMetadataDirectory, secondMetadataPath } from './layout.js'
import { METADATA_BYTES_MAX, parseMetadata, type Metadata } from './metadata.js'

/**
 * Calls `use` with a regular file, open for reading, and closes it; null if there is none at the path. Whoever calls has
 * looked at the directories above.
 */
export function withFile<T>(fs: FileSystem, path: string, use: (fd: number, stat: FileStat) => T): T | null {
  return withOpened(fs, path, (fd) => {
    const stat = fs.stat(fd)
    return stat.kind === 'file' ? use(fd, stat) : null
  })
}

/** As `withFile`, for one who can tell by other means that it is a file: what is open may also be anything but a symlink. */
export function withOpened<T>(fs: FileSystem, path: string, use: (fd: number) => T | null): T | null {
  const fd = openIfFile(fs, path)
  if (fd === null) return null
  try {
    return use(fd)
  } finally {
    fs.close(fd)
  }
}

/** How systems refuse to open what is no file differs, so on an error the path is looked at. */
function openIfFile(fs: FileSystem, path: string): number | null {
  try {
    return fs.open(path, 'read')
  } catch (error) {
    if (fs.lstat(path)?.kind !== 'file') return null
    throw error
  }
}

const CHUNK_BYTES = 256 * 1024
/** Also for a file that has grown since its size was asked for. */
const CHUNK_BYTES_MIN = 4096

/** CRC-32 of a file from its beginning to its end. `size` is only what it is taken to have: a small file needs no large chunk. */
export function checksumFile(fs: FileSystem, fd: number, size: number): number {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size + CHUNK_BYTES_MIN))
  let crc = 0
  for (let position = 0; ;) {
    const count = readFully(fs, fd, chunk, position)
    crc = crc32(chunk.subarray(0, count), crc)
    if (count < chunk.length) return crc
    position += count
  }
}

export type FoundMetadata =
  | { readonly status: 'none' }
  | { readonly status: 'found'; readonly metadata: Metadata }
  /** The origin's reader would refuse the file at `path`. */
  | { readonly status: 'corrupt'; readonly path: string }

const NONE: FoundMetadata = { status: 'none' }

/** Metadata of a key, from the first place or else from the second. */
export function readMetadata(
  fs: FileSystem,
  directories: Directories,
  root: string,
  namespace: string,
  key: string,
): FoundMetadata {
  const first = firstMetadataPath(root, namespace, key)
  const found = directories.isReal(parentOf(first)) ? readMetadataFile(fs, first) : null
  if (found !== null) return found
  if (!directories.isReal(secondMetadataDirectory(root, namespace))) return NONE
  const second = readMetadataFile(fs, secondMetadataPath(root, namespace, key)) ?? NONE
  // There the file says whose it is; another key's tells nothing of this one.
  return second.status === 'found' && second.metadata.own?.key !== key ? NONE : second
}

function readMetadataFile(fs: FileSystem, path: string): FoundMetadata | null {
  return withOpened(fs, path, (fd) => readOwnMetadata(fs, fd) ?? examineMetadata(fs, fd, path))
}

/** Nearly all metadata has fewer bytes than this, by far. What is in it is only good until the next file. */
const SCRATCH = Buffer.alloc(4096)

/** Metadata that fits its own checksum is whole and from a store's hand: there is no need to look at its file as well. */
function readOwnMetadata(fs: FileSystem, fd: number): FoundMetadata | null {
  let count: number
  try {
    count = fs.read(fd, SCRATCH, 0, SCRATCH.length, 0)
  } catch {
    // No file, or one that can't be read: `examineMetadata` tells.
    return null
  }
  if (count === SCRATCH.length) return null
  const metadata = parseMetadata(SCRATCH.subarray(0, count))
  return metadata === null || metadata.own === null ? null : { status: 'found', metadata }
}

function examineMetadata(fs: FileSystem, fd: number, path: string): FoundMetadata | null {
  const { kind, size } = fs.stat(fd)
  if (kind !== 'file') return null
  if (size > METADATA_BYTES_MAX) return { status: 'corrupt', path }
  const bytes = Buffer.allocUnsafe(size)
  const metadata = parseMetadata(bytes.subarray(0, readFully(fs, fd, bytes, 0)))
  return metadata === null ? { status: 'corrupt', path } : { status: 'found', metadata }
}
