/** Owns a directory that is written under another name first, so that half an export is never taken for one. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, rmdir, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { errorCode } from '../backend/file/file-system.js'
import type { ArchiveWriter } from './archive-writer.js'
import { ArchiveError } from './archive-error.js'
import { syncUpTo, syncDirectory } from './sync-directory.js'

export class DirectoryWriter implements ArchiveWriter {
  readonly #target: string
  readonly #partial: string
  /** The directory that was there before, of those above. */
  #top: string
  readonly #made = new Set<string>()
  /** Files that are being synced: one after the other would take as many turns of the disk. */
  #syncing: Promise<void>[] = []

  private constructor(target: string) {
    this.#target = target
    // Another host may write to the same directory, with a process of the same number.
    this.#partial = `${target}.partial-${randomUUID()}`
    this.#top = dirname(target)
  }

  /** The directory must be empty or not there. */
  static async open(path: string): Promise<DirectoryWriter> {
    const target = resolve(path)
    const entries = await readdir(target).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null
      throw new ArchiveError('usage', `${target} can't be written to (${String(error)})`)
    })
    if (entries !== null && entries.length > 0)
      throw new ArchiveError('refused', `${target} is not empty; name a directory that is empty or not there`)
    const writer = new DirectoryWriter(target)
    const firstMade = await mkdir(dirname(target), { recursive: true })
    if (firstMade !== undefined) writer.#top = dirname(firstMade)
    await mkdir(writer.#partial, { mode: 0o700 })
    return writer
  }

  async addDirectory(path: string): Promise<void> {
    if (this.#made.has(path)) return
    await mkdir(join(this.#partial, path), { recursive: true, mode: 0o700 })
    // Those above it were made along with it.
    for (let made = path; made !== '.' && !this.#made.has(made); made = dirname(made)) this.#made.add(made)
  }

  async addFile(path: string, content: Uint8Array, atMs: number): Promise<void> {
    await this.addDirectory(dirname(path))
    const file = await open(join(this.#partial, path), 'wx', 0o600)
    const synced = writeFile(file, content, atMs)
    // Whoever waits for all of them learns of a failure.
    synced.catch(() => {})
    this.#syncing.push(synced)
    if (this.#syncing.length >= AT_ONCE) await this.#settle()
  }

  async finish(): Promise<void> {
    await this.#settle()
    for (const path of this.#made) await syncDirectory(join(this.#partial, path))
    await syncDirectory(this.#partial)
    await rmdir(this.#target).catch(ignoreMissing)
    await rename(this.#partial, this.#target)
    await syncUpTo(this.#top, dirname(this.#target))
  }

  async abandon(): Promise<void> {
    await Promise.allSettled(this.#syncing)
    await rm(this.#partial, { recursive: true, force: true })
  }

  async #settle(): Promise<void> {
    const syncing = this.#syncing
    await Promise.all(syncing)
    this.#syncing = []
  }
}

const AT_ONCE = 32

async function writeFile(file: FileHandle, content: Uint8Array, atMs: number): Promise<void> {
  try {
    await file.writeFile(content)
    await file.utimes(atMs / 1000, atMs / 1000)
    await file.sync()
  } finally {
    await file.close()
  }
}

function ignoreMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error
}
