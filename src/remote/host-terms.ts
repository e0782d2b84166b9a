/**
 * HostTerms owns the identities and policies that a connection refers to by number, checked once. What a slot was asked to
 * hold against the rules is refused when it is used.
 */
import type { ConflictPolicy, Durability, Writer } from '../api.js'
import type { ChangeTerms } from '../requests.js'
import { normalizeWriter } from '../writer.js'
import type { BatchReader } from './batch-reader.js'
import { MalformedBatch } from './batch-reader.js'
import { checkWriter, type Bounds } from './bounds.js'
import { RULES, TERMS_SLOTS } from './wire.js'

const POLICIES: readonly ConflictPolicy[] = ['ignore', 'warn', 'error']
const DURABILITIES: readonly Durability[] = ['journal', 'tree']

type Slot = { readonly terms: ChangeTerms } | { readonly error: unknown }

export class HostTerms {
  readonly #bounds: Bounds
  readonly #slots: (Slot | undefined)[] = []

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  define(reader: BatchReader): void {
    const slot = reader.integer(0, TERMS_SLOTS - 1)
    const writer = reader.writer()
    const policies = {
      conflictPolicy: choice(reader, POLICIES),
      detect: choice(reader, RULES),
      durability: choice(reader, DURABILITIES),
      repairMetadata: reader.flag(),
    }
    try {
      this.#slots[slot] = { terms: { writer: this.#writer(writer), ...policies } }
    } catch (error) {
      this.#slots[slot] = { error }
    }
  }

  get(slot: number): ChangeTerms {
    const found = this.#slots[slot]
    if (found === undefined) throw new MalformedBatch('the terms of a change were not given before')
    if ('error' in found) throw found.error
    return found.terms
  }

  #writer(asked: Writer | null): Writer | null {
    const writer = normalizeWriter(asked)
    if (writer === null) return this.#bounds.writer
    checkWriter(this.#bounds, writer)
    return writer
  }
}

function choice<T extends string>(reader: BatchReader, choices: readonly T[]): T {
  const text = reader.text()
  const chosen = choices.find((known) => known === text)
  if (chosen === undefined) throw new MalformedBatch(`one of ${choices.join(', ')} is missing`)
  return chosen
}
