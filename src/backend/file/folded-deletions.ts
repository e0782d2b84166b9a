/**
 * FoldedDeletions owns, for a file system that takes several names for one, which pending deletions of a namespace would
 * meet the files of a key that is spelled differently: deletions of that key, of a directory above it, or below either. They
 * must not come after a write of the key, whose files they would delete, and whose name the old directory would spell.
 */
export class FoldedDeletions<P extends { readonly key: string }> {
  readonly #fold: (name: string) => string
  /** Folded path → the path as it is spelled → deletions at it and below it. */
  readonly #spellings = new Map<string, Map<string, Set<P>>>()

  constructor(fold: (name: string) => string) {
    this.#fold = fold
  }

  add(deletion: P): void {
    for (const path of pathsOf(deletion.key)) {
      const folded = this.#fold(path)
      let spellings = this.#spellings.get(folded)
      if (spellings === undefined) this.#spellings.set(folded, (spellings = new Map<string, Set<P>>()))
      const deletions = spellings.get(path)
      if (deletions === undefined) spellings.set(path, new Set([deletion]))
      else deletions.add(deletion)
    }
  }

  remove(deletion: P): void {
    for (const path of pathsOf(deletion.key)) {
      const folded = this.#fold(path)
      const spellings = this.#spellings.get(folded)
      const deletions = spellings?.get(path)
      if (spellings === undefined || deletions === undefined) continue
      deletions.delete(deletion)
      if (deletions.size === 0) spellings.delete(path)
      if (spellings.size === 0) this.#spellings.delete(folded)
    }
  }

  /** Deletions under other spellings of the key, or of the directories above it. */
  *otherSpellingsOf(key: string): Iterable<P> {
    for (const path of pathsOf(key)) {
      for (const [spelling, deletions] of this.#spellings.get(this.#fold(path)) ?? []) {
        if (spelling !== path) yield* deletions
      }
    }
  }
}

/** The directories above a key, and the key itself. */
function* pathsOf(key: string): Iterable<string> {
  for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) yield key.slice(0, end)
  yield key
}
