import { crc32 } from 'node:zlib'
import { readFully, type FileSystem } from './file-system.js'
import type { ValueLocation } from './tasks.js'

const CHUNK_BYTES = 256 * 1024
/** Most values are small, and what a task leaves behind stays in memory for a while. */
const CHUNK_BYTES_FIRST = 4 * 1024

/** Owns the segments that one task has open, to read values back; whoever makes it closes it. */
export class JournalValues {
  readonly #fs: FileSystem
  readonly #opened = new Map<string, number>()
  #chunk: Uint8Array | null = null

  constructor(fs: FileSystem) {
    this.#fs = fs
  }

  /**
   * Hands the value on in pieces, each valid until the next. False if the journal holds other bytes than the record
   * says: then what was handed on must not be used.
   */
  copy(location: ValueLocation, take: (piece: Uint8Array, position: number) => void): boolean {
    const fd = this.#open(location.segment)
    const chunk = this.#chunkFor(location.size)
    let crc = 0
    for (let done = 0; done < location.size;) {
      const piece = chunk.subarray(0, location.size - done)
      if (readFully(this.#fs, fd, piece, location.position + done) < piece.length) return false
      crc = crc32(piece, crc)
      take(piece, done)
      done += piece.length
    }
    return crc === location.crc
  }

  /** The whole value, into bytes of its size. False as with `copy`. */
  read({ segment, position, crc }: ValueLocation, value: Uint8Array): boolean {
    const count = readFully(this.#fs, this.#open(segment), value, position)
    return count === value.length && crc32(value) === crc
  }

  close(): void {
    for (const fd of this.#opened.values()) {
      try {
        this.#fs.close(fd)
      } catch {
        // It was only read: whatever closing complains of, nothing is lost.
      }
    }
    this.#opened.clear()
  }

  #chunkFor(size: number): Uint8Array {
    if (this.#chunk === null || this.#chunk.length < Math.min(size, CHUNK_BYTES)) {
      this.#chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(size, CHUNK_BYTES_FIRST)))
    }
    return this.#chunk
  }

  #open(segment: string): number {
    const found = this.#opened.get(segment)
    if (found !== undefined) return found
    const fd = this.#fs.open(segment, 'read')
    this.#opened.set(segment, fd)
    return fd
  }
}
