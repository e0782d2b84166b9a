/**
 * IdTable owns what belongs to numbers that grow and are mostly gone soon. A `Map` would do the same, but one that loses
 * and gains thousands of entries is reorganized all the time, and V8's young collections keep what earlier states of it
 * refer to: measured, a quarter of all garbage survived, and collecting took half of a thread's time.
 */
export interface Numbered {
  readonly id: number
}

/** A power of two, above what is usually under way. */
const SLOTS = 2048

export class IdTable<T extends Numbered> {
  /** Becomes as long as is needed: most connections never have much under way. */
  readonly #slots: (T | undefined)[] = []
  /** Those whose slot is taken by an older one that stays. */
  readonly #others = new Map<number, T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(entry: T): void {
    const slot = entry.id % SLOTS
    if (this.#slots[slot] === undefined) this.#slots[slot] = entry
    else this.#others.set(entry.id, entry)
    this.#size++
  }

  get(id: number): T | undefined {
    const entry = this.#slots[id % SLOTS]
    return entry?.id === id ? entry : this.#others.get(id)
  }

  delete(id: number): T | undefined {
    const entry = this.get(id)
    if (entry === undefined) return undefined
    if (this.#slots[id % SLOTS] === entry) this.#slots[id % SLOTS] = undefined
    else this.#others.delete(id)
    this.#size--
    return entry
  }

  /** In the order of their numbers. */
  entries(): T[] {
    const entries = this.#slots.filter((entry) => entry !== undefined)
    return [...entries, ...this.#others.values()].toSorted((a, b) => a.id - b.id)
  }

  clear(): void {
    this.#slots.length = 0
    this.#others.clear()
    this.#size = 0
  }
}
