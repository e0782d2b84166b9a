/** ClientTerms owns the numbers by which changes refer to identities and policies, so that they travel once. */
import type { Writer } from '../api.js'
import type { ChangeTerms } from '../coordinator/request.js'
import type { BatchWriter } from './batch-writer.js'
import { CALL, TERMS_SLOTS } from './wire.js'

export class ClientTerms {
  /** By writer, then by the rest. Sessions keep their writer object, so most lookups are quick. */
  readonly #slots = new Map<Writer | null, Map<string, number>>()
  /** A session's changes come with the same object again and again. */
  #slotOf = new WeakMap<ChangeTerms, number>()
  #used = 0

  /** The number of these terms; tells the host what it stands for, if that is new. */
  slot(terms: ChangeTerms, batch: BatchWriter): number {
    const known = this.#slotOf.get(terms)
    if (known !== undefined) return known
    const slot = this.#find(terms, batch)
    this.#slotOf.set(terms, slot)
    return slot
  }

  #find(terms: ChangeTerms, batch: BatchWriter): number {
    const { writer, conflictPolicy, detect, durability, repairMetadata } = terms
    const rest = `${conflictPolicy} ${detect} ${durability} ${repairMetadata}`
    const known = this.#slots.get(writer)?.get(rest)
    if (known !== undefined) return known
    if (this.#used === TERMS_SLOTS) {
      this.#slots.clear()
      this.#slotOf = new WeakMap()
      this.#used = 0
    }
    const slot = this.#used++
    const ofWriter = this.#slots.get(writer) ?? new Map<string, number>()
    this.#slots.set(writer, ofWriter.set(rest, slot))
    batch.push(CALL.TERMS, slot)
    batch.pushWriter(writer)
    batch.push(conflictPolicy, detect, durability, repairMetadata)
    return slot
  }
}
