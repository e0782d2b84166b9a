import type { FileSystem } from '../../../src/backend/file/file-system.js'
import { decodeHeader } from '../../../src/backend/file/frame.js'

/**
 * Owns a file system that tells when the journal has become quiet: the last thing that was written was no frame but a
 * checkpoint, which is what an idle store writes a moment after its last frame.
 */
export class QuietWatch {
  readonly fs: FileSystem
  #isFrame = true
  #isQuiet = false
  readonly #waiting: (() => void)[] = []

  constructor(fs: FileSystem) {
    this.fs = {
      ...fs,
      writeAsync: (fd, buffer, offset, length, position) => {
        this.#isFrame =
          decodeHeader(Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength), 0) !== null
        return fs.writeAsync(fd, buffer, offset, length, position)
      },
      datasyncAsync: async (fd) => {
        await fs.datasyncAsync(fd)
        this.#isQuiet = !this.#isFrame
        if (this.#isQuiet) for (const resolve of this.#waiting.splice(0)) resolve()
      },
    }
  }

  async untilQuiet(): Promise<void> {
    if (!this.#isQuiet) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
