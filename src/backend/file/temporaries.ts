import { v7 as uuidv7 } from 'uuid'
import type { FileModes } from '../../api.js'
import type { Directories } from './directories.js'
import type { FileSystem } from './file-system.js'

/** A file on its way. Until it is finished it is open, and nothing of it is durable. */
export interface Temporary {
  readonly path: string
  /** Null: it is finished. */
  fd: number | null
}

/**
 * Owns the files that a task has on their way into the tree. They lie outside of it under names of their own, so that a
 * reader of the tree never meets an unfinished one (I5). What is neither moved nor discarded is discarded at the end.
 */
export class Temporaries {
  readonly #fs: FileSystem
  readonly #directories: Directories
  readonly #directory: string
  readonly #modes: FileModes
  readonly #files = new Set<Temporary>()

  constructor(fs: FileSystem, directories: Directories, directory: string, modes: FileModes) {
    this.#fs = fs
    this.#directories = directories
    this.#directory = directory
    this.#modes = modes
  }

  /** Makes a file and lets `fill` write it. If anything fails, nothing of it is left or trusted. */
  begin(atMs: number, fill: (fd: number) => void): Temporary {
    this.#directories.make(this.#directory, this.#modes.directory)
    const path = `${this.#directory}/${uuidv7()}`
    const fd = this.#fs.open(path, 'create-exclusive', this.#modes.file)
    const file: Temporary = { path, fd }
    this.#files.add(file)
    return this.#orDiscard(file, () => {
      fill(fd)
      this.#fs.setTimes(fd, atMs)
    })
  }

  /** Syncs it: from now on it may be moved. If that fails, nothing of it is left or trusted. */
  finish(file: Temporary): void {
    const { fd } = file
    if (fd === null) return
    this.#orDiscard(file, () => {
      this.#fs.sync(fd)
      file.fd = null
      this.#fs.close(fd)
    })
  }

  /** Gives a finished file its place in the tree. The target's directory must still be synced. */
  move(file: Temporary, target: string): void {
    if (file.fd !== null) throw new Error(`not finished: ${file.path}`)
    this.#fs.rename(file.path, target)
    this.#files.delete(file)
  }

  /** At once rather than at the end, where its room may be what the others need. */
  discard(file: Temporary): void {
    if (!this.#files.delete(file)) return
    try {
      const { fd } = file
      file.fd = null
      if (fd !== null) this.#fs.close(fd)
    } catch {
      // Nobody relies on what is in it.
    }
    try {
      this.#fs.unlink(file.path)
    } catch {
      // It is in nobody's way: the next opening of the root sweeps what is left here.
    }
  }

  discardAll(): void {
    for (const file of [...this.#files]) this.discard(file)
  }

  #orDiscard(file: Temporary, step: () => void): Temporary {
    try {
      step()
    } catch (error) {
      this.discard(file)
      throw error
    }
    return file
  }
}

/** Removes what a process that was killed left on its way into the tree; only while nothing writes to the root. */
export function sweepTemporaries(fs: FileSystem, directory: string): void {
  if (fs.lstat(directory)?.kind !== 'directory') return
  for (const { name, kind } of fs.list(directory)) {
    if (kind !== 'file') continue
    try {
      fs.unlink(`${directory}/${name}`)
    } catch {
      // It takes room and nothing else; the next opening tries again.
    }
  }
}
