/**
 * The sequential specification of a namespace, written from the documentation and not from the implementation: a Map,
 * the two conflict rules, and what may not exist beside what.
 */
import type { ConflictPolicy, ConflictRule } from '../../src/api.js'

/** Writers of the model have nothing but an id; null is anonymous. */
export type WriterId = string | null

export interface ModelEntry {
  readonly value: string
  readonly revision: number
  /** The last named writer. */
  readonly writer: WriterId
  /** Who made the last change. */
  readonly changedBy: WriterId
}

export interface ModelSession {
  readonly writer: WriterId
  readonly detect: ConflictRule
  readonly policy: ConflictPolicy
  /** Revision of the keys that were seen; null: seen as missing. */
  readonly seen: Map<string, number | null>
}

export interface ModelOperation {
  readonly key: string
  /** Null deletes. */
  readonly value: string | null
  readonly ifRevision?: number | null | undefined
  readonly seenRevision?: number | null | undefined
}

export interface ModelConflict {
  readonly key: string
  readonly rule: ConflictRule
  readonly previous: WriterId
  readonly previousRevision: number | null
  readonly seenRevision: number | null
}

export interface ModelChange {
  readonly key: string
  readonly kind: 'write' | 'delete'
  readonly writer: WriterId
}

export type Judgement =
  | {
      readonly kind: 'refused'
      readonly codes: ReadonlySet<string>
      readonly conflicts: readonly ModelConflict[]
    }
  | {
      readonly kind: 'accepted'
      readonly conflicts: readonly (ModelConflict | null)[]
      readonly changes: readonly ModelChange[]
    }

export class NamespaceModel {
  readonly entries = new Map<string, ModelEntry>()
  /** Who deleted a key, as long as this is known. */
  readonly #deletedBy = new Map<string, WriterId>()
  exists = true

  keys(): string[] {
    return [...this.entries.keys()].sort((one, two) => Buffer.compare(Buffer.from(one), Buffer.from(two)))
  }

  /** Says what must become of the operations, without applying them. */
  judge(session: ModelSession, operations: readonly ModelOperation[]): Judgement {
    if (!this.exists) return { kind: 'refused', codes: new Set(['NAMESPACE_NOT_FOUND']), conflicts: [] }
    const codes = new Set<string>()
    if (operations.some((operation) => this.#mismatches(operation))) codes.add('REVISION_MISMATCH')
    const conflicts = operations.map((operation) => this.#conflict(session, operation))
    const found = conflicts.filter((conflict) => conflict !== null)
    if (session.policy === 'error' && found.length > 0 && codes.size === 0) codes.add('CONFLICT')
    if (this.#blocks(operations)) codes.add('KEY_BLOCKED')
    if (codes.size > 0) return { kind: 'refused', codes, conflicts: found }
    const changes = operations
      .filter(({ key, value }) => value !== null || this.entries.has(key))
      .map(({ key, value }): ModelChange => ({
        key,
        kind: value === null ? 'delete' : 'write',
        writer: session.writer,
      }))
    return { kind: 'accepted', conflicts, changes }
  }

  /** Applies operations that were accepted, under the revision that the store gave them. */
  apply(session: ModelSession, operations: readonly ModelOperation[], revision: number | null): void {
    for (const { key, value } of operations) {
      const before = this.entries.get(key)
      if (value === null) {
        if (before !== undefined) this.#deletedBy.set(key, session.writer)
        this.entries.delete(key)
        session.seen.set(key, null)
      } else {
        const writer = session.writer ?? before?.writer ?? null
        this.entries.set(key, { value, revision: revision!, writer, changedBy: session.writer })
        session.seen.set(key, revision)
      }
    }
  }

  see(session: ModelSession, key: string): ModelEntry | undefined {
    const entry = this.entries.get(key)
    session.seen.set(key, entry?.revision ?? null)
    return entry
  }

  remove(): void {
    for (const key of this.entries.keys()) this.#deletedBy.set(key, null)
    this.entries.clear()
    this.exists = false
  }

  /** After opening again nobody knows who deleted what. */
  forget(): void {
    this.#deletedBy.clear()
  }

  #mismatches({ key, ifRevision }: ModelOperation): boolean {
    return ifRevision !== undefined && ifRevision !== (this.entries.get(key)?.revision ?? null)
  }

  #conflict(session: ModelSession, operation: ModelOperation): ModelConflict | null {
    const { key, value } = operation
    const entry = this.entries.get(key)
    if (session.writer === null) return null
    if (value === null && entry === undefined) return null
    const seen = operation.seenRevision === undefined ? session.seen.get(key) : operation.seenRevision
    const previousRevision = entry?.revision ?? null
    const facts = { key, previousRevision, seenRevision: seen ?? null }
    if (session.detect === 'lost-update' && seen !== undefined) {
      const changedBy = entry === undefined ? (this.#deletedBy.get(key) ?? null) : entry.changedBy
      if (seen === previousRevision || changedBy === session.writer) return null
      return { ...facts, rule: 'lost-update', previous: changedBy }
    }
    if (entry === undefined || entry.writer === null || entry.writer === session.writer) return null
    return { ...facts, rule: 'writer-change', previous: entry.writer }
  }

  /** Whether a key would be both a file and a directory afterwards. */
  #blocks(operations: readonly ModelOperation[]): boolean {
    const after = new Set(this.entries.keys())
    for (const { key, value } of operations) if (value === null) after.delete(key)
    for (const { key, value } of operations) if (value !== null) after.add(key)
    const written = operations.filter(({ key, value }) => value !== null && !this.entries.has(key))
    return written.some(({ key }) =>
      [...after].some((other) => isAncestor(other, key) || isAncestor(key, other)),
    )
  }
}

function isAncestor(ancestor: string, key: string): boolean {
  return key.startsWith(`${ancestor}/`)
}
