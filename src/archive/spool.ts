/** Owns a temporary file with values that are held until it is clear which of them are needed. */
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SpoolPlace {
  readonly position: number
  readonly size: number
}

export class Spool {
  readonly #directory: string
  readonly #file: FileHandle
  #end = 0

  private constructor(directory: string, file: FileHandle) {
    this.#directory = directory
    this.#file = file
  }

  static async open(): Promise<Spool> {
    const directory = await mkdtemp(join(tmpdir(), 'agent-state-export-'))
    try {
      return new Spool(directory, await open(join(directory, 'values'), 'wx+', 0o600))
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  async add(value: Uint8Array): Promise<SpoolPlace> {
    const place = { position: this.#end, size: value.length }
    this.#end += value.length
    for (let done = 0; done < value.length;) {
      const { bytesWritten } = await this.#file.write(value, done, value.length - done, place.position + done)
      done += bytesWritten
    }
    return place
  }

  async read({ position, size }: SpoolPlace): Promise<Uint8Array> {
    const value = new Uint8Array(size)
    for (let done = 0; done < size;) {
      const { bytesRead } = await this.#file.read(value, done, size - done, position + done)
      if (bytesRead === 0) throw new Error('the temporary file with the values was cut off')
      done += bytesRead
    }
    return value
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    this.#end = 0
    await this.#file.truncate(0)
  }

  async close(): Promise<void> {
    try {
      await this.#file.close()
    } finally {
      await rm(this.#directory, { recursive: true, force: true })
    }
  }
}
