/**
 * Owns what one task knows of the directories below a root: which of them it has seen to be real ones. No task reaches
 * through anything else, so a symlink that somebody planted leads nowhere. (Between the look and the use somebody may
 * still exchange a directory: Node can't open relative to one.)
 */
import { errorCode, systemError, type FileStat, type FileSystem } from './file-system.js'
import { parentOf } from './layout.js'

export type DirectoryState =
  | { readonly state: 'real' }
  | { readonly state: 'missing' }
  /** Something else is in its place, or in that of a directory above it. */
  | { readonly state: 'blocked'; readonly by: string; readonly kind: FileStat['kind'] }

const REAL: DirectoryState = { state: 'real' }
const MISSING: DirectoryState = { state: 'missing' }

export class Directories {
  readonly #fs: FileSystem
  readonly #root: string
  readonly #real = new Set<string>()

  constructor(fs: FileSystem, root: string) {
    this.#fs = fs
    this.#root = root
  }

  /** Looks at a directory at or below the root, and at those above it. The root itself is the caller's affair. */
  inspect(directory: string): DirectoryState {
    if (directory.length <= this.#root.length || this.#real.has(directory)) return REAL
    const above = this.inspect(parentOf(directory))
    if (above.state !== 'real') return above
    const kind = this.#fs.lstat(directory)?.kind
    if (kind === undefined) return MISSING
    if (kind !== 'directory') return { state: 'blocked', by: directory, kind }
    this.#real.add(directory)
    return REAL
  }

  isReal(directory: string): boolean {
    return this.inspect(directory).state === 'real'
  }

  /** The directory itself if it is there, or the next above it that is. */
  nearestReal(directory: string): string {
    let nearest = directory
    while (!this.isReal(nearest)) nearest = parentOf(nearest)
    return nearest
  }

  /** Makes the directory and those missing above it. They are not synced. */
  make(directory: string, mode: number): void {
    const found = this.inspect(directory)
    if (found.state === 'real') return
    if (found.state === 'blocked') {
      throw systemError('ENOTDIR', `a ${found.kind} is in the way of a directory: ${found.by}`)
    }
    this.make(parentOf(directory), mode)
    try {
      this.#fs.makeDirectory(directory, mode)
    } catch (error) {
      // Another task may have been first; what is there now is looked at.
      if (errorCode(error) !== 'EEXIST' || !this.isReal(directory)) throw error
    }
    this.#real.add(directory)
  }

  /** Removes an empty directory. */
  remove(directory: string): void {
    this.#real.delete(directory)
    this.#fs.removeDirectory(directory)
  }

  /** All ancestors up to the root, from the inside out. */
  above(directory: string): string[] {
    const found: string[] = []
    for (let path = directory; path.length > this.#root.length;) {
      path = parentOf(path)
      found.push(path)
    }
    return found
  }
}
