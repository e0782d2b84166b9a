/**
 * ClientNamespaces owns the numbers by which the frequent calls refer to namespaces, so that names travel once. When all
 * numbers are taken, the one that was given first is given anew.
 */
import type { BatchWriter } from './batch-writer.js'
import { CALL, NAMESPACE_SLOTS } from './wire.js'

export class ClientNamespaces {
  readonly #numberOf = new Map<string, number>()
  readonly #names: string[] = []
  /** Given next, whoever has it. */
  #next = 0

  /** The number of this namespace; tells the host what it stands for, if that is new. */
  number(namespace: string, batch: BatchWriter): number {
    const known = this.#numberOf.get(namespace)
    if (known !== undefined) return known
    const number = this.#next
    const before = this.#names[number]
    if (before !== undefined) this.#numberOf.delete(before)
    this.#names[number] = namespace
    this.#numberOf.set(namespace, number)
    this.#next = (number + 1) % NAMESPACE_SLOTS
    batch.push(CALL.NAMESPACE, number, namespace)
    return number
  }
}
