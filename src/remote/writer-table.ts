/**
 * Identities in answers by number, since a few writers make many conflicts. The host gives the numbers: an identity travels
 * with its number where it is named first, as the number alone from then on. Both tables have the same size, and what comes
 * in order is read in order, so a number never stands for somebody else on the other side.
 *
 *   null: nobody · n ≥ 0: the identity with this number · n < 0, then four fields: number -n - 1 stands for these from now on
 */
import type { Writer } from '../api.js'
import { MalformedBatch, type BatchReader } from './batch-reader.js'
import type { BatchWriter } from './batch-writer.js'
import { WRITER_SLOTS } from './wire.js'

/** The host's side. */
export class SentWriters {
  readonly #writers: Writer[] = []
  readonly #numberOf = new Map<Writer, number>()
  /** Given next, whoever has it. */
  #next = 0

  push(batch: BatchWriter, writer: Writer | null): void {
    if (writer === null) return batch.push(null)
    const known = this.#numberOf.get(writer)
    if (known !== undefined) return batch.push(known)
    const number = this.#next
    const before = this.#writers[number]
    if (before !== undefined) this.#numberOf.delete(before)
    this.#writers[number] = writer
    this.#numberOf.set(writer, number)
    this.#next = (number + 1) % WRITER_SLOTS
    batch.push(-number - 1)
    batch.pushWriter(writer)
  }
}

/** The client's side. */
export class ReceivedWriters {
  readonly #writers: (Writer | null)[] = []

  take(reader: BatchReader): Writer | null {
    const number = reader.optionalNumber()
    if (number === null) return null
    if (number >= 0) {
      const writer = this.#writers[number]
      if (writer === undefined) throw new MalformedBatch('there is no identity with this number')
      return writer
    }
    const place = -number - 1
    if (place >= WRITER_SLOTS) throw new MalformedBatch('there are not so many identities')
    // Whoever is given a conflict may keep it, and others are given the same object.
    const writer = reader.writer()
    return (this.#writers[place] = writer === null ? null : Object.freeze(writer))
  }
}
