/**
 * SeenKeys owns what one session remembers of the keys it saw: the revision, or null for a key it saw missing. Bounded:
 * beyond the bound, the key seen longest ago counts as never seen (I9). Seeing a key again only stamps it, since that is
 * done for every write; which ones were seen longest ago is found out when one has to go, for many at a time.
 */
import { ownText } from './utf8.js'

interface SeenKey {
  readonly key: string
  revision: number | null
  /** Counts up: the later it was seen, the higher. */
  seenAt: number
}

export class SeenKeys {
  readonly #max: number
  readonly #keys = new Map<string, SeenKey>()
  #lastSeenAt = 0
  /** Those that had to go next when it was last found out, the next one at the end. */
  #leaving: SeenKey[] = []
  /** What was seen later is not leaving any more. */
  #foundOutAt = 0
  /** The one that was asked for last: what comes of a write is mostly noted before the session asks for the next one. */
  #asked: SeenKey | undefined

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): number | null | undefined {
    if (this.#asked?.key !== key) this.#asked = this.#keys.get(key)
    return this.#asked?.revision
  }

  set(key: string, revision: number | null): void {
    if (!this.#setKnown(key, revision)) this.#add(ownText(key), revision)
  }

  /** As `set`, with a text that others keep as well, and that is not cut out of a longer one. */
  setKept(key: string, revision: number | null): void {
    if (!this.#setKnown(key, revision)) this.#add(key, revision)
  }

  #setKnown(key: string, revision: number | null): boolean {
    const known = this.#asked?.key === key ? this.#asked : this.#keys.get(key)
    if (known === undefined) return false
    known.revision = revision
    known.seenAt = ++this.#lastSeenAt
    return true
  }

  #add(key: string, revision: number | null): void {
    this.#keys.set(key, { key, revision, seenAt: ++this.#lastSeenAt })
    if (this.#keys.size > this.#max) this.#forgetOldest()
  }

  #forgetOldest(): void {
    for (;;) {
      const next = this.#leaving.pop()
      if (next === undefined) {
        this.#leaving = [...this.#keys.values()].sort((a, b) => b.seenAt - a.seenAt)
        this.#foundOutAt = this.#lastSeenAt
      } else if (next.seenAt <= this.#foundOutAt) {
        this.#keys.delete(next.key)
        if (this.#asked === next) this.#asked = undefined
        return
      }
    }
  }
}
