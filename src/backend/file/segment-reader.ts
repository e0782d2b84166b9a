import { stateError } from '../../errors.js'
import { errorCode, readFully, type FileSystem } from './file-system.js'
import type { SegmentFile } from './segment.js'

/**
 * Owns an open segment while it is read. Whatever the file system refuses becomes `READ_FAILED`: it says nothing about
 * what the journal holds, so it must not be taken for its end.
 */
export class SegmentReader {
  readonly segment: SegmentFile
  readonly size: number
  readonly #fs: FileSystem
  readonly #fd: number

  private constructor(fs: FileSystem, segment: SegmentFile, fd: number, size: number) {
    this.#fs = fs
    this.segment = segment
    this.#fd = fd
    this.size = size
  }

  /** Calls `read` with an open segment and closes it afterwards; null if there is no such file. */
  static use<T>(fs: FileSystem, segment: SegmentFile, read: (reader: SegmentReader) => T): T | null {
    let reader: SegmentReader | null
    try {
      reader = SegmentReader.#open(fs, segment)
    } catch (error) {
      throw readFailed(segment.path, error)
    }
    if (reader === null) return null
    try {
      return read(reader)
    } finally {
      fs.close(reader.#fd)
    }
  }

  /** So many bytes from a position on; fewer only where the file ends. */
  read(position: number, bytes: number): Buffer {
    const available = Math.max(0, Math.min(bytes, this.size - position))
    const buffer = Buffer.allocUnsafeSlow(available)
    try {
      return buffer.subarray(0, readFully(this.#fs, this.#fd, buffer, position))
    } catch (error) {
      throw readFailed(this.segment.path, error)
    }
  }

  static #open(fs: FileSystem, segment: SegmentFile): SegmentReader | null {
    if (fs.lstat(segment.path)?.kind !== 'file') return null
    const fd = fs.open(segment.path, 'read')
    try {
      return new SegmentReader(fs, segment, fd, fs.stat(fd).size)
    } catch (error) {
      fs.close(fd)
      throw error
    }
  }
}

export function readFailed(path: string, cause: unknown): Error {
  const message = `The journal could not be read (${errorCode(cause)} at ${path}). Nothing was changed.`
  return stateError('READ_FAILED', message, { path, cause })
}
