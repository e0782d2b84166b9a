/**
 * History owns the last changes of all namespaces, for those who ask what has happened since a revision. It is a ring in
 * columns, because every write passes through: an object a change would have to be moved by the garbage collector a few
 * times before it is forgotten (I9).
 */
import type { Change, Writer } from '../api.js'

/** What the history knows of a namespace, whether the rest of it is in memory or not. */
export interface HistoryPlace {
  readonly namespace: string
  /** Changes up to this revision are not in the history. */
  compactedRevision: number
}

export class History {
  readonly #max: number
  readonly #places: HistoryPlace[] = []
  readonly #keys: string[] = []
  readonly #kinds: Change['kind'][] = []
  readonly #revisions: number[] = []
  readonly #writers: (Writer | null)[] = []
  /** The oldest one, once there are as many as there may be. */
  #next = 0

  constructor(max: number) {
    this.#max = max
  }

  add(place: HistoryPlace, key: string, kind: Change['kind'], revision: number, writer: Writer | null): void {
    const at = this.#next
    if (this.#revisions.length === this.#max) {
      const oldest = this.#places[at]!
      oldest.compactedRevision = Math.max(oldest.compactedRevision, this.#revisions[at]!)
    }
    this.#places[at] = place
    this.#keys[at] = key
    this.#kinds[at] = kind
    this.#revisions[at] = revision
    this.#writers[at] = writer
    this.#next = at + 1 === this.#max ? 0 : at + 1
  }

  /** Changes of the namespace after a revision, oldest first, as far as they are in memory. */
  after(namespace: string, revision: number): Change[] {
    const changes: Change[] = []
    const count = this.#revisions.length
    const first = count === this.#max ? this.#next : 0
    for (let i = 0; i < count; i++) {
      const at = (first + i) % count
      if (this.#places[at]!.namespace === namespace && this.#revisions[at]! > revision) {
        changes.push(this.#changeAt(at))
      }
    }
    return changes
  }

  #changeAt(at: number): Change {
    return {
      namespace: this.#places[at]!.namespace,
      key: this.#keys[at]!,
      kind: this.#kinds[at]!,
      revision: this.#revisions[at]!,
      writer: this.#writers[at]!,
    }
  }
}
