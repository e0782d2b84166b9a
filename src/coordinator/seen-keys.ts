/**
 * SeenKeys owns what one session remembers of the keys it saw: the revision, or null for a key it saw missing. Bounded:
 * beyond the bound, the key seen longest ago counts as never seen (I9).
 */
export class SeenKeys {
  readonly #max: number
  readonly #revisions = new Map<string, number | null>()

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): number | null | undefined {
    return this.#revisions.get(key)
  }

  set(key: string, revision: number | null): void {
    const known = this.#revisions.delete(key)
    this.#revisions.set(key, revision)
    if (known || this.#revisions.size <= this.#max) return
    const oldest = this.#revisions.keys().next()
    if (!oldest.done) this.#revisions.delete(oldest.value)
  }
}
