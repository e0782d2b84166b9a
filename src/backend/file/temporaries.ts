import { v7 as uuidv7 } from 'uuid'
import type { FileModes } from '../../api.js'
import type { Directories } from './directories.js'
import type { FileSystem } from './file-system.js'

/**
 * Owns the files that a task has on their way into the tree. They lie outside of it under names of their own, so that a
 * reader of the tree never meets an unfinished one (I5). What is neither moved nor discarded is discarded at the end.
 */
export class Temporaries {
  readonly #fs: FileSystem
  readonly #directories: Directories
  readonly #directory: string
  readonly #modes: FileModes
  readonly #paths = new Set<string>()

  constructor(fs: FileSystem, directories: Directories, directory: string, modes: FileModes) {
    this.#fs = fs
    this.#directories = directories
    this.#directory = directory
    this.#modes = modes
  }

  /** Makes a file, lets `fill` write it, and syncs it. If anything fails, nothing of it is left or trusted. */
  write(atMs: number, fill: (fd: number) => void): string {
    this.#directories.make(this.#directory, this.#modes.directory)
    const path = `${this.#directory}/${uuidv7()}`
    const fd = this.#fs.open(path, 'create-exclusive', this.#modes.file)
    this.#paths.add(path)
    try {
      try {
        fill(fd)
        this.#fs.setTimes(fd, atMs)
        this.#fs.sync(fd)
      } finally {
        this.#fs.close(fd)
      }
    } catch (error) {
      this.discard(path)
      throw error
    }
    return path
  }

  /** Gives a finished file its place in the tree. The target's directory must still be synced. */
  move(path: string, target: string): void {
    this.#fs.rename(path, target)
    this.#paths.delete(path)
  }

  /** At once rather than at the end, where its room may be what the others need. */
  discard(path: string): void {
    if (!this.#paths.delete(path)) return
    try {
      this.#fs.unlink(path)
    } catch {
      // It is in nobody's way: the next opening of the root sweeps what is left here.
    }
  }

  discardAll(): void {
    for (const path of [...this.#paths]) this.discard(path)
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
