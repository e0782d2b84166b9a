import { SLOT_BYTES } from '../../../src/backend/file/checkpoint.js'
import type { FileSystem } from '../../../src/backend/file/file-system.js'
import { decodeHeader } from '../../../src/backend/file/frame.js'

/**
 * Owns a file system that tells when the journal has become quiet: the last thing that was written was no frame but
 * the second copy of a checkpoint, which is what an idle store writes a moment after its last frame.
 */
export class QuietWatch {
  readonly fs: FileSystem
  #isCheckpoint = false
  #isQuiet = false
  readonly #waiting: (() => void)[] = []

  constructor(fs: FileSystem) {
    this.fs = {
      ...fs,
      writeAsync: (fd, buffer, offset, length, position) => {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength)
        this.#isCheckpoint = position === SLOT_BYTES && decodeHeader(bytes, 0) === null
        return fs.writeAsync(fd, buffer, offset, length, position)
      },
      datasyncAsync: async (fd) => {
        await fs.datasyncAsync(fd)
        this.#isQuiet = this.#isCheckpoint
        if (this.#isQuiet) for (const resolve of this.#waiting.splice(0)) resolve()
      },
    }
  }

  async untilQuiet(): Promise<void> {
    if (!this.#isQuiet) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
