/**
 * Names owns the set of keys of one namespace: which exist, which directories they imply, and their order. The set
 * holds committed keys only; a plan looks at it through `PlannedNames`, which adds what the plan itself would change.
 *
 * - A directory is a proper prefix of a key that ends before a `/`; its count is the number of keys below it.
 * - The sorted list is merged lazily: additions are collected, removed keys stay in it until the next merge.
 */
import { META_DIRECTORY } from '../names.js'
import { compareUtf8 } from '../utf8.js'

export class Names {
  readonly #keys = new Set<string>()
  readonly #directories = new Map<string, number>()
  readonly #foldName: ((name: string) => string) | null
  /** Folded path → the keys and directories with it, as they are spelled. Only where the medium folds names. */
  readonly #spellings = new Map<string, string[]>()
  #sorted: string[] | null = null
  #added: string[] = []
  #bytes = 0

  constructor(keys: Iterable<string>, foldName: ((name: string) => string) | null) {
    this.#foldName = foldName
    this.#remember(META_DIRECTORY)
    for (const key of keys) this.add(key)
  }

  get count(): number {
    return this.#keys.size
  }

  /** About how much memory the names take. */
  get bytes(): number {
    return this.#bytes
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** Gives the same result for two names that the medium takes for one; null where it keeps all apart. */
  get folds(): ((name: string) => string) | null {
    return this.#foldName
  }

  /** How many keys lie below this path. */
  below(path: string): number {
    return this.#directories.get(path) ?? 0
  }

  add(key: string): void {
    if (this.#keys.has(key)) return
    this.#keys.add(key)
    this.#bytes += KEY_BYTES + key.length
    if (this.#sorted !== null) this.#noteAdded(key)
    this.#remember(key)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      this.#countBelow(key.slice(0, end), 1)
    }
  }

  remove(key: string): void {
    if (!this.#keys.delete(key)) return
    this.#bytes -= KEY_BYTES + key.length
    this.#forget(key)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      this.#countBelow(key.slice(0, end), -1)
    }
  }

  clear(): void {
    this.#keys.clear()
    this.#directories.clear()
    this.#spellings.clear()
    this.#remember(META_DIRECTORY)
    this.#sorted = null
    this.#added = []
    this.#bytes = 0
  }

  /** Other spellings of the key, or of a directory above it, that are in use and mean the same to the medium. */
  *otherSpellings(key: string): Iterable<string> {
    if (this.#foldName === null) return
    for (let end = key.indexOf('/'); ; end = key.indexOf('/', end + 1)) {
      const path = end === -1 ? key : key.slice(0, end)
      for (const used of this.#spellings.get(this.#foldName(path)) ?? []) if (used !== path) yield used
      if (end === -1) return
    }
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#keys[Symbol.iterator]()
  }

  /** Keys in UTF-8 byte order. The array is shared: not to be changed. */
  sorted(): readonly string[] {
    if (this.#sorted === null) {
      this.#sorted = [...this.#keys].sort(compareUtf8)
    } else if (this.#added.length > 0 || this.#sorted.length !== this.#keys.size) {
      this.#sorted = this.#merge(this.#sorted, this.#added.sort(compareUtf8))
    }
    this.#added = []
    return this.#sorted
  }

  /** A key that comes and goes without anybody listing must not fill the memory: then it is sorted anew. */
  #noteAdded(key: string): void {
    this.#added.push(key)
    if (this.#added.length <= this.#keys.size + 1000) return
    this.#sorted = null
    this.#added = []
  }

  #merge(left: readonly string[], right: readonly string[]): string[] {
    const merged: string[] = []
    let l = 0
    let r = 0
    while (l < left.length || r < right.length) {
      const fromLeft = r >= right.length || (l < left.length && compareUtf8(left[l]!, right[r]!) <= 0)
      const key = fromLeft ? left[l++]! : right[r++]!
      if (this.#keys.has(key) && merged.at(-1) !== key) merged.push(key)
    }
    return merged
  }

  #countBelow(directory: string, step: 1 | -1): void {
    const before = this.#directories.get(directory) ?? 0
    const count = before + step
    if (count > 0) this.#directories.set(directory, count)
    else this.#directories.delete(directory)
    if (before === 0) {
      this.#bytes += DIRECTORY_BYTES
      this.#remember(directory)
    } else if (count === 0) {
      this.#bytes -= DIRECTORY_BYTES
      this.#forget(directory)
    }
  }

  #remember(path: string): void {
    if (this.#foldName === null) return
    const folded = this.#foldName(path)
    const used = this.#spellings.get(folded)
    if (used === undefined) this.#spellings.set(folded, [path])
    else if (!used.includes(path)) used.push(path)
  }

  #forget(path: string): void {
    if (this.#foldName === null || this.#keys.has(path) || this.#directories.has(path)) return
    const folded = this.#foldName(path)
    const left = this.#spellings.get(folded)?.filter((used) => used !== path) ?? []
    if (left.length > 0) this.#spellings.set(folded, left)
    else this.#spellings.delete(folded)
  }
}

/** What the sets take for a key and for a directory, roughly, besides the text. */
const KEY_BYTES = 80
const DIRECTORY_BYTES = 80

/**
 * The names as they would be after the part of a plan that is decided already: the committed ones, less and more. Most
 * plans change no names, so what is less and more is only made when there is some.
 */
export class PlannedNames {
  /** Null: the plan has removed all of them. */
  #committed: Names | null
  readonly #folds: ((name: string) => string) | null
  #removed: Names | null = null
  #added: Names | null = null

  constructor(names: Names) {
    this.#committed = names
    this.#folds = names.folds
    this.#added = this.#noneAdded()
  }

  get count(): number {
    return (this.#committed?.count ?? 0) - (this.#removed?.count ?? 0) + (this.#added?.count ?? 0)
  }

  has(key: string): boolean {
    return this.#added?.has(key) === true || this.#isLeft(key)
  }

  add(key: string): void {
    if (this.has(key)) return
    if (this.#removed?.has(key) === true) {
      this.#removed.remove(key)
    } else {
      this.#added ??= new Names([], this.#folds)
      this.#added.add(key)
    }
  }

  remove(key: string): void {
    if (this.#isLeft(key)) {
      this.#removed ??= new Names([], null)
      this.#removed.add(key)
    } else {
      this.#added?.remove(key)
    }
  }

  clear(): void {
    this.#committed = null
    this.#removed = null
    this.#added = this.#noneAdded()
  }

  /** The key that makes it impossible for `key` to exist as a file, if there is one. */
  blockedBy(key: string): string | null {
    const parentEnd = key.lastIndexOf('/')
    // Where there are keys beside this one, all that is above them is a directory.
    if (parentEnd !== -1 && this.#below(key.slice(0, parentEnd)) === 0) {
      for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
        const ancestor = key.slice(0, end)
        if (this.has(ancestor)) return ancestor
      }
    }
    if (this.#below(key) > 0) return this.#anyBelow(key)
    return this.#folds === null ? null : this.#otherSpelling(key)
  }

  #otherSpelling(key: string): string | null {
    for (const other of this.#added?.otherSpellings(key) ?? []) return other
    for (const other of this.#committed?.otherSpellings(key) ?? []) {
      if (this.has(other) || this.#below(other) > 0) return other
    }
    return null
  }

  /** Where the medium folds names, these know the store's own name, which no key may have under another spelling. */
  #noneAdded(): Names | null {
    return this.#folds === null ? null : new Names([], this.#folds)
  }

  /** Committed, and not removed by the plan. */
  #isLeft(key: string): boolean {
    return this.#committed?.has(key) === true && this.#removed?.has(key) !== true
  }

  #below(path: string): number {
    const committed = this.#committed?.below(path) ?? 0
    return committed - (this.#removed?.below(path) ?? 0) + (this.#added?.below(path) ?? 0)
  }

  #anyBelow(path: string): string {
    const prefix = `${path}/`
    for (const key of this.#added ?? []) if (key.startsWith(prefix)) return key
    for (const key of this.#committed ?? []) if (key.startsWith(prefix) && this.has(key)) return key
    return path
  }
}
