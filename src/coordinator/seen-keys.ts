/**
 * SeenKeys owns what one session remembers of the keys it saw: the revision, or null for a key it saw missing. Bounded:
 * beyond the bound, the key seen longest ago counts as never seen (I9). Keys are linked in the order in which they were
 * seen, since the first key of a `Map` with many deletions is slow to find.
 */
interface SeenKey {
  readonly key: string
  revision: number | null
  older: SeenKey | null
  newer: SeenKey | null
}

export class SeenKeys {
  readonly #max: number
  readonly #keys = new Map<string, SeenKey>()
  #oldest: SeenKey | null = null
  #newest: SeenKey | null = null

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): number | null | undefined {
    return this.#keys.get(key)?.revision
  }

  set(key: string, revision: number | null): void {
    const known = this.#keys.get(key)
    if (known !== undefined) {
      known.revision = revision
      if (known !== this.#newest) {
        this.#unlink(known)
        this.#append(known)
      }
      return
    }
    const added: SeenKey = { key, revision, older: null, newer: null }
    this.#keys.set(key, added)
    this.#append(added)
    if (this.#keys.size > this.#max && this.#oldest !== null) {
      this.#keys.delete(this.#oldest.key)
      this.#unlink(this.#oldest)
    }
  }

  #append(seen: SeenKey): void {
    seen.older = this.#newest
    seen.newer = null
    if (this.#newest === null) this.#oldest = seen
    else this.#newest.newer = seen
    this.#newest = seen
  }

  #unlink(seen: SeenKey): void {
    if (seen.older === null) this.#oldest = seen.newer
    else seen.older.newer = seen.newer
    if (seen.newer === null) this.#newest = seen.older
    else seen.newer.older = seen.older
  }
}
