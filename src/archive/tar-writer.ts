/** Owns a tar stream while it is made. Its bytes go to `sink` in order, and no faster than that takes them. */
import { createTarPacker } from 'modern-tar'
import type { ArchiveWriter } from './archive-writer.js'

export interface TarSink {
  write(bytes: Uint8Array): Promise<void>
  finish(): Promise<void>
  abandon(): Promise<void>
}

/** What fits into the eleven octal digits of a header: until the year 2242. */
const MTIME_MAX_MS = (8 ** 11 - 1) * 1000

export class TarWriter implements ArchiveWriter {
  readonly #sink: TarSink
  readonly #packer = createTarPacker()
  readonly #written: Promise<void>

  constructor(sink: TarSink) {
    this.#sink = sink
    this.#written = this.#pump()
    // `addFile` learns of a failure by the packer's stream; `finish` waits for it.
    this.#written.catch(() => {})
  }

  async addDirectory(path: string): Promise<void> {
    await this.#add({ name: `${path}/`, size: 0, type: 'directory', mode: 0o700 }, null, Date.now())
  }

  async addFile(path: string, content: Uint8Array, atMs: number): Promise<void> {
    await this.#add({ name: path, size: content.length, type: 'file', mode: 0o600 }, content, atMs)
  }

  async finish(): Promise<void> {
    this.#packer.controller.finalize()
    await this.#written
    await this.#sink.finish()
  }

  async abandon(): Promise<void> {
    this.#packer.controller.error(new Error('the export was given up'))
    await this.#written.catch(() => {})
    await this.#sink.abandon()
  }

  async #add(
    header: Parameters<ReturnType<typeof createTarPacker>['controller']['add']>[0],
    content: Uint8Array | null,
    atMs: number,
  ): Promise<void> {
    const mtime = new Date(Math.min(Math.max(atMs, 0), MTIME_MAX_MS))
    const body = this.#packer.controller.add({ ...header, mtime }).getWriter()
    if (content !== null && content.length > 0) await body.write(content)
    await body.close()
  }

  async #pump(): Promise<void> {
    const reader = this.#packer.readable.getReader()
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        await this.#sink.write(value)
      }
    } catch (error) {
      await reader.cancel(error).catch(() => {})
      throw error
    }
  }
}
