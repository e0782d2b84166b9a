/**
 * Planning, as a pure function: requests of one namespace and what is committed there → units for the backend, and a
 * decision for every request. Nothing here is visible to anybody until the backend has answered (I2), so revisions
 * that the plan itself would assign are provisional: unit i is written as -(i + 1) until `settledRevision` knows better.
 */
import type { Conflict, Writer } from '../api.js'
import type { Change, Unit } from '../backend/backend.js'
import type { AgentStateError } from '../errors.js'
import { appended } from '../appended.js'
import { detectConflict, type KeyView } from './conflict.js'
import { PlannedNames, type Names } from './names.js'
import type { KeyState } from './namespace-state.js'
import {
  conflictRefused,
  keyBlocked,
  metadataCorrupt,
  namespaceFull,
  namespaceMissing,
  revisionMismatch,
  type RefusedEntry,
} from './refusals.js'
import type { Request } from './request.js'
import type { ChangeRequest, RequestedOperation, RequestedWrite } from '../requests.js'

/** What a plan may look at. */
export interface PlanView {
  readonly namespace: string
  readonly exists: boolean
  readonly names: Names
  readonly namespaceKeysMax: number
  /** Others change the namespace too: the backend has to know what the plan rests on. */
  readonly isShared: boolean
}

/** Its revision may be provisional. */
export type PlannedConflict = Omit<Conflict, 'previousRevision'> & { previousRevision: number | null }

export interface PlannedOperation {
  readonly operation: RequestedOperation
  readonly state: KeyState
  readonly conflict: PlannedConflict | null
  /** `none`: a deletion of what is not there. */
  readonly effect: 'write' | 'delete' | 'none'
  /** Of a write: the change as it goes to the backend. */
  readonly change: WriteChange | null
}

export type Decision =
  | { readonly kind: 'create' | 'remove'; readonly unit: number | null }
  | {
      readonly kind: 'change'
      readonly unit: number | null
      readonly operations: readonly PlannedOperation[]
      readonly current: Writer | null
    }
  /** `conflicts` are those that led to the refusal; the error is made when the revisions are known. */
  | {
      readonly kind: 'refused'
      readonly conflicts: readonly PlannedConflict[]
      error(firstRevision: number): AgentStateError
    }

export interface PlannedRequests {
  readonly units: readonly Unit[]
  /** One a request. */
  readonly decisions: readonly Decision[]
  /** Revisions that the decisions rest on; empty for a backend that nobody else changes. */
  readonly expected: ReadonlyMap<string, number | null>
}

/** The revision that a provisional one has become. */
export function settledRevision<R extends number | null>(revision: R, firstRevision: number): R {
  return (revision !== null && revision < 0 ? firstRevision - revision - 1 : revision) as R
}

/** In place: nobody has been told of the conflict before. */
export function settledConflict(conflict: PlannedConflict, firstRevision: number): Conflict {
  conflict.previousRevision = settledRevision(conflict.previousRevision, firstRevision)
  return conflict
}

type WriteChange = Extract<Change, { kind: 'write' }>

/** A key as the plan so far would leave it; one that the plan has not changed is its own state. */
type PlannedKey = KeyView & Pick<KeyState, 'identityAtS' | 'corruptMetadata'>

/** An operation of a request that is not accepted yet, with the key as it finds it. */
interface ExaminedOperation extends PlannedOperation {
  readonly key: PlannedKey
  effect: PlannedOperation['effect']
  change: WriteChange | null
}

export function plan(view: PlanView, requests: readonly Request[], atMs: number): PlannedRequests {
  return new Planner(view, atMs).plan(requests)
}

/** Most plans have one request and change no names: what a plan needs for more than that is made when it is needed. */
class Planner {
  readonly #view: PlanView
  readonly #atMs: number
  #names: PlannedNames | null = null
  /** Keys that requests of this plan have changed. */
  #keys: Map<KeyState, PlannedKey> | null = null
  readonly #expected: Map<string, number | null> | null
  #units: Unit[] | null = null
  #exists: boolean
  #removed = false
  /** Nobody looks any more at what the request changes. */
  #isLast = false

  constructor(view: PlanView, atMs: number) {
    this.#view = view
    this.#atMs = atMs
    this.#exists = view.exists
    this.#expected = view.isShared ? new Map() : null
  }

  plan(requests: readonly Request[]): PlannedRequests {
    let decisions: Decision[] | null = null
    for (let index = 0; index < requests.length; index++) {
      this.#isLast = index === requests.length - 1
      decisions = appended(decisions, this.#decide(requests[index]!))
    }
    return {
      units: this.#units ?? [],
      decisions: decisions ?? [],
      expected: this.#expected ?? NOTHING_EXPECTED,
    }
  }

  #decide(request: Request): Decision {
    const body = request.body
    switch (body.kind) {
      case 'create':
        return { kind: 'create', unit: this.#exists ? null : this.#create() }
      case 'remove':
        return { kind: 'remove', unit: this.#exists ? this.#remove() : null }
      case 'change':
        return this.#change(body, request.states)
    }
  }

  #create(): number {
    this.#exists = true
    return this.#addUnit({ kind: 'create' })
  }

  #remove(): number {
    this.#exists = false
    this.#removed = true
    this.#plannedNames().clear()
    // Keys that were missing before keep who deleted them.
    const keys = this.#keys
    for (const [state, { revision }] of keys ?? []) if (revision !== null) keys?.delete(state)
    return this.#addUnit({ kind: 'remove' })
  }

  /** Returns its index. */
  #addUnit(unit: Unit): number {
    this.#units = appended(this.#units, unit)
    return this.#units.length - 1
  }

  #plannedNames(): PlannedNames {
    this.#names ??= new PlannedNames(this.#view.names)
    return this.#names
  }

  #setKey(state: KeyState, key: PlannedKey): void {
    this.#keys ??= new Map()
    this.#keys.set(state, key)
  }

  #change(request: ChangeRequest, states: readonly KeyState[]): Decision {
    const { namespace } = this.#view
    if (!this.#exists) return refused(() => namespaceMissing(namespace))
    const { operations } = request
    let examined: ExaminedOperation[] | null = null
    let firstConflict = -1
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]!
      const state = states[index]!
      const key = this.#key(state)
      const refusal = this.#checkCondition(request, index, key) ?? this.#checkMetadata(request, index, key)
      if (refusal !== null) return refusal
      const conflict = this.#conflict(request, operation, key)
      if (conflict !== null && firstConflict === -1) firstConflict = index
      examined = appended(examined, { operation, state, conflict, effect: 'none', change: null, key })
    }
    if (examined === null)
      return { kind: 'change', unit: null, operations: [], current: request.terms.writer }
    if (firstConflict !== -1 && request.terms.conflictPolicy === 'error') {
      return this.#refuseConflict(request, examined, firstConflict)
    }
    return this.#applyNames(examined) ?? this.#accept(request.terms.writer, examined)
  }

  /** The key as the plan has it so far. */
  #key(state: KeyState): PlannedKey {
    const planned = this.#keys?.get(state)
    if (planned !== undefined) return planned
    if (this.#removed) return { ...MISSING, changedBy: state.head === null ? state.deletedBy : null }
    this.#expected?.set(state.key, state.revision)
    return state
  }

  #checkCondition(request: ChangeRequest, index: number, key: PlannedKey): Decision | null {
    const { ifRevision } = request.operations[index]!
    if (ifRevision === undefined) return null
    const { revision } = key
    if (ifRevision === revision) return null
    const entry = this.#entry(request, index)
    return refused((firstRevision) =>
      revisionMismatch(entry, ifRevision, settledRevision(revision, firstRevision)),
    )
  }

  #checkMetadata(request: ChangeRequest, index: number, key: PlannedKey): Decision | null {
    const path = key.corruptMetadata
    const operation = request.operations[index]!
    if (path === null || request.terms.repairMetadata || operation.kind === 'delete') return null
    const { namespace } = this.#view
    return refused(() => metadataCorrupt(namespace, operation.key, path))
  }

  #conflict(request: ChangeRequest, operation: RequestedOperation, key: PlannedKey): PlannedConflict | null {
    if (operation.kind === 'delete' && key.revision === null) return null
    const current = request.terms.writer
    const detected = detectConflict(request.terms.detect, current, key, operation.seen)
    if (detected === null || current === null) return null
    return {
      namespace: this.#view.namespace,
      key: operation.key,
      rule: detected.rule,
      current,
      previous: detected.previous,
      previousRevision: key.revision,
      seenRevision: operation.seen ?? null,
    }
  }

  #refuseConflict(request: ChangeRequest, examined: readonly ExaminedOperation[], index: number): Decision {
    const { operation, conflict } = examined[index]!
    const entry = this.#entry(request, index)
    return {
      kind: 'refused',
      conflicts: examined.flatMap((each) => each.conflict ?? []),
      error: (firstRevision) =>
        conflictRefused(entry, settledConflict(conflict!, firstRevision), operation.kind),
    }
  }

  /**
   * Applies what the request does to the set of names, deletions first, so that one batch can turn a file into a
   * directory. A request that can't be applied leaves the set as it was (I7).
   */
  #applyNames(examined: readonly ExaminedOperation[]): Decision | null {
    let removed: string[] | null = null
    let added: string[] | null = null
    for (const { operation, state, key } of examined) {
      if (operation.kind !== 'delete' || key.revision === null) continue
      this.#plannedNames().remove(state.key)
      removed = appended(removed, state.key)
    }
    for (const { operation, state, key } of examined) {
      if (operation.kind === 'delete' || key.revision !== null) continue
      const names = this.#plannedNames()
      const by = names.blockedBy(state.key)
      const full = names.count >= this.#view.namespaceKeysMax
      if (by !== null || full) {
        for (const each of added ?? []) names.remove(each)
        for (const each of removed ?? []) names.add(each)
        const { namespace, namespaceKeysMax } = this.#view
        return refused(() =>
          by !== null
            ? keyBlocked(namespace, state.key, by)
            : namespaceFull(namespace, state.key, namespaceKeysMax),
        )
      }
      names.add(state.key)
      added = appended(added, state.key)
    }
    return null
  }

  #accept(writer: Writer | null, examined: readonly ExaminedOperation[]): Decision {
    const unit = this.#units?.length ?? 0
    let changes: Change[] | null = null
    for (const each of examined) {
      const { operation, state, key } = each
      if (operation.kind === 'write') {
        const change = this.#write(operation, state, writer, key)
        each.effect = 'write'
        each.change = change
        changes = appended<Change>(changes, change)
        if (this.#isLast) continue
        this.#setKey(state, {
          revision: -unit - 1,
          identity: change.writer,
          identityAtS: change.writerAtS,
          changedBy: writer,
          corruptMetadata: null,
        })
      } else if (key.revision !== null) {
        each.effect = 'delete'
        changes = appended<Change>(changes, { kind: 'delete', key: state.key })
        if (!this.#isLast) this.#setKey(state, { ...MISSING, changedBy: writer })
      }
    }
    if (changes !== null) this.#addUnit({ kind: 'change', changes })
    return { kind: 'change', unit: changes !== null ? unit : null, operations: examined, current: writer }
  }

  /** An anonymous write keeps the identity of the last named writer. */
  #write(
    { value, size }: RequestedWrite,
    { key: name }: KeyState,
    writer: Writer | null,
    key: PlannedKey,
  ): WriteChange {
    return {
      kind: 'write',
      // The state's text rather than the caller's: it lives long already.
      key: name,
      value,
      size,
      writer: writer ?? key.identity,
      writerAtS: writer === null ? key.identityAtS : Math.floor(this.#atMs / 1000),
      anonymous: writer === null,
    }
  }

  #entry({ operations, single }: ChangeRequest, index: number): RefusedEntry {
    return { namespace: this.#view.namespace, key: operations[index]!.key, index: single ? null : index }
  }
}

function refused(error: (firstRevision: number) => AgentStateError): Decision {
  return { kind: 'refused', conflicts: [], error }
}

const NOTHING_EXPECTED: ReadonlyMap<string, number | null> = new Map()

const MISSING = { revision: null, identity: null, identityAtS: null, corruptMetadata: null } as const
