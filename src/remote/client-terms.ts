/**
 * ClientTerms owns the numbers by which changes refer to identities and policies, so that they travel once. Sessions with
 * the same identity and policies share a number; when all are taken, the one that was given first is given anew.
 */
import type { ChangeTerms } from '../requests.js'
import type { BatchWriter } from './batch-writer.js'
import { CALL, TERMS_SLOTS } from './wire.js'

interface Slot {
  readonly number: number
  /** It still stands for these terms. */
  isCurrent: boolean
}

export class ClientTerms {
  /** By what they say; the one that was given first comes first. */
  readonly #slots = new Map<string, Slot>()
  /** A session's changes come with the same object again and again. */
  readonly #slotOf = new WeakMap<ChangeTerms, Slot>()

  /** The number of these terms; tells the host what it stands for, if that is new. */
  slot(terms: ChangeTerms, batch: BatchWriter): number {
    const known = this.#slotOf.get(terms)
    if (known?.isCurrent === true) return known.number
    const slot = this.#find(terms, batch)
    this.#slotOf.set(terms, slot)
    return slot.number
  }

  #find(
    { writer, conflictPolicy, detect, durability, repairMetadata }: ChangeTerms,
    batch: BatchWriter,
  ): Slot {
    const { writerId, stageId, sessionId, workerId } = writer ?? {}
    const policies = [conflictPolicy, detect, durability, repairMetadata] as const
    const content = JSON.stringify([writerId, stageId, sessionId, workerId, ...policies])
    const known = this.#slots.get(content)
    if (known !== undefined) return known
    const slot = { number: this.#freeNumber(), isCurrent: true }
    this.#slots.set(content, slot)
    batch.push(CALL.TERMS, slot.number)
    batch.pushWriter(writer)
    batch.push(...policies)
    return slot
  }

  #freeNumber(): number {
    if (this.#slots.size < TERMS_SLOTS) return this.#slots.size
    const [content, oldest] = this.#slots.entries().next().value!
    this.#slots.delete(content)
    oldest.isCurrent = false
    return oldest.number
  }
}
