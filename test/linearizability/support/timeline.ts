/**
 * The states of a namespace in the order of their revisions. Revisions say in which order changes took effect, so there
 * is nothing to search: the state at a revision is what all changes up to it have made.
 */
import type { Writer } from '../../../src/api.js'
import type { Asked, Call } from './history.js'

export interface Version {
  readonly revision: number
  readonly era: number
  /** Null: the key is missing from this revision on. */
  readonly value: string | null
  /** The last named writer; null for a missing key. */
  readonly identity: Writer | null
  /** Null: anonymous. */
  readonly changedBy: Writer | null
}

export interface Effect {
  readonly key: string
  readonly kind: 'write' | 'delete'
}

export interface ChangeAt {
  readonly call: Call
  readonly revision: number
  /** What it did: deleting what is missing is nothing. */
  readonly effects: readonly Effect[]
}

const NEVER: Version = { revision: 0, era: -1, value: null, identity: null, changedBy: null }

export class Timeline {
  readonly changes: readonly ChangeAt[]
  readonly #versions = new Map<string, Version[]>()

  constructor(revisions: ReadonlyMap<Call, number>) {
    const ordered = [...revisions].sort(([, one], [, two]) => one - two)
    ordered.forEach(([call, revision], index) => {
      const before = ordered[index - 1]
      if (before?.[1] === revision) {
        throw new Error(`revision ${revision} was given twice: to ${before[0].id} and ${call.id}`)
      }
    })
    this.changes = ordered.map(([call, revision]) => ({
      call,
      revision,
      effects: this.#apply(call, revision),
    }))
  }

  get keys(): Iterable<string> {
    return this.#versions.keys()
  }

  /** How the key is once the revision has taken effect. */
  at(key: string, revision: number): Version {
    const versions = this.#versions.get(key) ?? []
    return versions[indexUpTo(versions, revision)] ?? NEVER
  }

  /** Index of the last change up to a revision; -1 if there is none. */
  indexAt(revision: number): number {
    return indexUpTo(this.changes, revision)
  }

  #apply(call: Call, revision: number): Effect[] {
    const effects: Effect[] = []
    for (const { key, value } of changesOf(call.asked)) {
      const before = this.at(key, revision)
      if (value === null && before.value === null) continue
      const { writer } = call.session
      const identity = value === null ? null : (writer ?? before.identity)
      const version = { revision, era: call.era, value, identity, changedBy: writer }
      const versions = this.#versions.get(key)
      if (versions === undefined) this.#versions.set(key, [version])
      else versions.push(version)
      effects.push({ key, kind: value === null ? 'delete' : 'write' })
    }
    return effects
  }
}

/** What a call does if it does anything. */
export function changesOf(asked: Asked): readonly { readonly key: string; readonly value: string | null }[] {
  if (asked.kind === 'change') return asked.changes
  if (asked.kind === 'update' && asked.value !== undefined) return [{ key: asked.key, value: asked.value }]
  return []
}

function indexUpTo(items: readonly { readonly revision: number }[], revision: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (items[middle]!.revision <= revision) low = middle + 1
    else high = middle
  }
  return low - 1
}
