/** The bytes of a file in pages that are shared between copies and never changed. A missing page is one of zeros. */
const PAGE_BYTES = 4096

export class Content {
  readonly #pages: Map<number, Buffer>
  #size: number

  constructor(pages: ReadonlyMap<number, Buffer> = new Map(), size = 0) {
    this.#pages = new Map(pages)
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  copy(): Content {
    return new Content(this.#pages, this.#size)
  }

  resize(size: number): void {
    const last = Math.floor(size / PAGE_BYTES)
    if (size < this.#size) {
      for (const index of this.#pages.keys()) if (index > last) this.#pages.delete(index)
      const rest = this.#pages.get(last)
      if (rest !== undefined) this.#pages.set(last, Buffer.from(rest).fill(0, size % PAGE_BYTES))
    }
    this.#size = size
  }

  write(bytes: Uint8Array, position: number): void {
    if (this.#pages.size === 0 && isZero(bytes)) {
      this.#size = Math.max(this.#size, position + bytes.length)
      return
    }
    for (let done = 0; done < bytes.length;) {
      const at = position + done
      const start = at % PAGE_BYTES
      const piece = bytes.subarray(done, done + PAGE_BYTES - start)
      this.#writePiece(Math.floor(at / PAGE_BYTES), start, piece)
      done += piece.length
    }
    this.#size = Math.max(this.#size, position + bytes.length)
  }

  /** So many bytes as there are, into the start of `bytes`. */
  read(bytes: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(bytes.length, this.#size - position))
    bytes.fill(0, 0, count)
    const lastIndex = Math.floor((position + count - 1) / PAGE_BYTES)
    for (let index = Math.floor(position / PAGE_BYTES); index <= lastIndex; index++) {
      const page = this.#pages.get(index)
      if (page === undefined) continue
      const from = Math.max(position, index * PAGE_BYTES)
      const to = Math.min(position + count, (index + 1) * PAGE_BYTES)
      bytes.set(page.subarray(from - index * PAGE_BYTES, to - index * PAGE_BYTES), from - position)
    }
    return count
  }

  bytes(): Buffer {
    const bytes = Buffer.alloc(this.#size)
    this.read(bytes, 0)
    return bytes
  }

  #writePiece(index: number, start: number, piece: Uint8Array): void {
    const before = this.#pages.get(index)
    if (before === undefined && isZero(piece)) return
    const page = before === undefined ? Buffer.alloc(PAGE_BYTES) : Buffer.from(before)
    page.set(piece, start)
    this.#pages.set(index, page)
  }
}

const ZEROS = Buffer.alloc(1024 * 1024)

/** A copy; zeros are many and share one. */
export function copyBytes(bytes: Uint8Array): Buffer {
  return bytes.length <= ZEROS.length && isZero(bytes) ? ZEROS.subarray(0, bytes.length) : Buffer.from(bytes)
}

/** Segments are filled with zeros by the megabyte, so this has to be quick. */
export function isZero(bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length; done += ZEROS.length) {
    const piece = bytes.subarray(done, done + ZEROS.length)
    if (ZEROS.compare(piece, 0, piece.length, 0, piece.length) !== 0) return false
  }
  return true
}
