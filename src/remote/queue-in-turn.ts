/**
 * QueueInTurn owns what waits for the same thing on behalf of several: each has a line of its own, first in, first out, and
 * the lines take turns (I3). A long line holds up nobody but itself.
 */
import { Queue } from '../queue.js'

interface Line<T> {
  readonly of: string | undefined
  readonly items: Queue<T>
}

export class QueueInTurn<T> {
  readonly #lines = new Map<string | undefined, Line<T>>()
  /** The lines that are not empty, in the order of their turns. */
  readonly #turns = new Queue<Line<T>>()
  #length = 0

  get length(): number {
    return this.#length
  }

  get isEmpty(): boolean {
    return this.#turns.length === 0
  }

  push(of: string | undefined, item: T): void {
    let line = this.#lines.get(of)
    if (line === undefined) {
      line = { of, items: new Queue<T>() }
      this.#lines.set(of, line)
      this.#turns.push(line)
    }
    line.items.push(item)
    this.#length++
  }

  /** The first of the line whose turn it is; the turn does not pass on. */
  peek(): T | undefined {
    return this.#turns.peek()?.items.peek()
  }

  /** Takes that one; then it is the next line's turn. */
  shift(): T | undefined {
    const line = this.#turns.shift()
    if (line === undefined) return undefined
    const item = line.items.shift()
    this.#length--
    if (line.items.length > 0) this.#turns.push(line)
    else this.#lines.delete(line.of)
    return item
  }

  /** Leaves out the items that are not to be kept. */
  keep(isKept: (item: T) => boolean): void {
    this.#length = 0
    this.#turns.keep((line) => {
      line.items.keep(isKept)
      this.#length += line.items.length
      if (line.items.length > 0) return true
      this.#lines.delete(line.of)
      return false
    })
  }
}
