/**
 * HostNamespaces owns the names that a connection refers to by number, and knows which names were found to be right and
 * within its bounds. A number may stand for a name that is neither: it is checked where it is used.
 */
import { NAMESPACE_BYTES_MAX } from '../limits.js'
import { validateNamespace } from '../namespace.js'
import { MalformedBatch, type BatchReader } from './batch-reader.js'
import { checkNamespace, type Bounds } from './bounds.js'
import { NAMESPACE_SLOTS } from './wire.js'

export class HostNamespaces {
  readonly #bounds: Bounds
  readonly #names: (string | undefined)[] = []
  readonly #known = new Set<string>()

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  define(reader: BatchReader): void {
    const slot = reader.integer(0, NAMESPACE_SLOTS - 1)
    this.#names[slot] = reader.comparedText(NAMESPACE_BYTES_MAX)
  }

  /** A name, or the number of one. */
  take(reader: BatchReader): string {
    const value = reader.next()
    if (typeof value === 'string') return value
    const name = typeof value === 'number' ? this.#names[value] : undefined
    if (name !== undefined) return name
    throw new MalformedBatch('a namespace is missing')
  }

  check(namespace: string): void {
    if (this.#known.has(namespace)) return
    validateNamespace(namespace)
    checkNamespace(this.#bounds, namespace)
    if (this.#known.size >= NAMESPACE_SLOTS) this.#known.clear()
    this.#known.add(namespace)
  }
}
