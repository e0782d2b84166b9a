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
  readonly #keys: Set<string>
  readonly #directories = new Map<string, number>()
  readonly #foldName: ((name: string) => string) | null
  /** Folded path of a key or directory → the path as it is spelled. Only where the medium folds names. */
  readonly #folded = new Map<string, string>()
  #sorted: string[] | null = null
  #added: string[] = []
  #bytes = 0

  constructor(keys: Iterable<string>, foldName: ((name: string) => string) | null) {
    this.#keys = new Set()
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
    this.#bytes += nameBytes(key)
    if (this.#sorted !== null) this.#noteAdded(key)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      const directory = key.slice(0, end)
      this.#directories.set(directory, (this.#directories.get(directory) ?? 0) + 1)
      this.#remember(directory)
    }
    this.#remember(key)
  }

  remove(key: string): void {
    if (!this.#keys.delete(key)) return
    this.#bytes -= nameBytes(key)
    this.#forget(key)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      const directory = key.slice(0, end)
      const count = (this.#directories.get(directory) ?? 0) - 1
      if (count > 0) {
        this.#directories.set(directory, count)
      } else {
        this.#directories.delete(directory)
        this.#forget(directory)
      }
    }
  }

  clear(): void {
    this.#keys.clear()
    this.#directories.clear()
    this.#folded.clear()
    this.#remember(META_DIRECTORY)
    this.#sorted = null
    this.#added = []
    this.#bytes = 0
  }

  /** Another spelling of one of the key's components that is in use and means the same to the medium. */
  otherSpelling(key: string): string | null {
    if (this.#foldName === null) return null
    for (let end = key.indexOf('/'); ; end = key.indexOf('/', end + 1)) {
      const path = end === -1 ? key : key.slice(0, end)
      const used = this.#folded.get(this.#foldName(path))
      if (used !== undefined && used !== path) return used
      if (end === -1) return null
    }
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#keys[Symbol.iterator]()
  }

  /** Keys in UTF-8 byte order. The array is shared: not to be changed, and valid until the next change. */
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

  #remember(path: string): void {
    if (this.#foldName === null) return
    const folded = this.#foldName(path)
    if (!this.#folded.has(folded)) this.#folded.set(folded, path)
  }

  #forget(path: string): void {
    if (this.#foldName === null) return
    const folded = this.#foldName(path)
    if (this.#folded.get(folded) === path) this.#folded.delete(folded)
  }
}

/** The set's own cost of a key, roughly: the string, its slot, a share of its directories. */
function nameBytes(key: string): number {
  return key.length + 80
}

/** The names as they would be after the part of a plan that is decided already. */
export class PlannedNames {
  readonly #names: Names
  readonly #changed = new Map<string, boolean>()
  readonly #directories = new Map<string, number>()
  #cleared = false
  #delta = 0

  constructor(names: Names) {
    this.#names = names
  }

  get count(): number {
    return (this.#cleared ? 0 : this.#names.count) + this.#delta
  }

  has(key: string): boolean {
    return this.#changed.get(key) ?? (!this.#cleared && this.#names.has(key))
  }

  add(key: string): void {
    if (!this.has(key)) this.#change(key, true)
  }

  remove(key: string): void {
    if (this.has(key)) this.#change(key, false)
  }

  clear(): void {
    this.#cleared = true
    this.#changed.clear()
    this.#directories.clear()
    this.#delta = 0
  }

  /** The key that makes it impossible for `key` to exist as a file, if there is one. */
  blockedBy(key: string): string | null {
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      const ancestor = key.slice(0, end)
      if (this.has(ancestor)) return ancestor
    }
    if (this.#below(key) > 0) return this.#anyBelow(key)
    if (this.#cleared) return null
    const other = this.#names.otherSpelling(key)
    return other !== null && (other === META_DIRECTORY || this.#isLive(other))
      ? other
      : this.#otherSpellingPlanned(key)
  }

  #change(key: string, exists: boolean): void {
    this.#changed.set(key, exists)
    const step = exists ? 1 : -1
    this.#delta += step
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      const directory = key.slice(0, end)
      this.#directories.set(directory, (this.#directories.get(directory) ?? 0) + step)
    }
  }

  #below(path: string): number {
    return (this.#cleared ? 0 : this.#names.below(path)) + (this.#directories.get(path) ?? 0)
  }

  #isLive(path: string): boolean {
    return this.has(path) || this.#below(path) > 0
  }

  #anyBelow(path: string): string {
    const prefix = `${path}/`
    for (const [key, exists] of this.#changed) if (exists && key.startsWith(prefix)) return key
    if (!this.#cleared) {
      for (const key of this.#names) if (key.startsWith(prefix) && this.has(key)) return key
    }
    return path
  }

  #otherSpellingPlanned(key: string): string | null {
    if (this.#names.folds === null || this.#changed.size === 0) return null
    const added = [...this.#changed].filter(([, exists]) => exists).map(([name]) => name)
    return new Names(added, this.#names.folds).otherSpelling(key)
  }
}
