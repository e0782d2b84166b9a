/**
 * Planning, as a pure function: requests of one namespace and what is committed there → units for the backend, and a
 * decision for every request. Nothing here is visible to anybody until the backend has answered (I2), so revisions
 * that the plan itself would assign are provisional: unit i is written as -(i + 1) until `settledRevision` knows better.
 */
import type { Conflict, Writer } from '../api.js'
import type { Change, Unit } from '../backend/backend.js'
import { stateError, type AgentStateError } from '../errors.js'
import { displayName } from '../writer.js'
import { detectConflict, type KeyView } from './conflict.js'
import { PlannedNames, type Names } from './names.js'
import type { KeyState } from './namespace-state.js'
import type { ChangeRequest, Request, RequestedOperation } from './request.js'

/** What a plan may look at. */
export interface PlanView {
  readonly namespace: string
  readonly exists: boolean
  readonly names: Names
  readonly namespaceKeysMax: number
  /** Others change the namespace too: the backend has to know what the plan rests on. */
  readonly isShared: boolean
}

export interface PlannedOperation {
  readonly operation: RequestedOperation
  readonly state: KeyState
  /** `none`: a deletion of what is not there. */
  readonly effect: 'write' | 'delete' | 'none'
  /** Of a write: the change as it goes to the backend. */
  readonly change: Extract<Change, { kind: 'write' }> | null
  readonly conflict: Conflict | null
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
      readonly conflicts: readonly Conflict[]
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

export function settledConflict(conflict: Conflict, firstRevision: number): Conflict {
  const previousRevision = settledRevision(conflict.previousRevision, firstRevision)
  return previousRevision === conflict.previousRevision ? conflict : { ...conflict, previousRevision }
}

/** A key as the plan so far would leave it; one that the plan has not changed is its own state. */
type PlannedKey = KeyView & Pick<KeyState, 'identityAtS' | 'corruptMetadata'>

export function plan(view: PlanView, requests: readonly Request[], atMs: number): PlannedRequests {
  return new Planner(view, atMs).plan(requests)
}

class Planner {
  readonly #view: PlanView
  readonly #atMs: number
  readonly #names: PlannedNames
  readonly #keys = new Map<KeyState, PlannedKey>()
  readonly #expected: Map<string, number | null> | null
  readonly #units: Unit[] = []
  #exists: boolean
  #removed = false

  constructor(view: PlanView, atMs: number) {
    this.#view = view
    this.#atMs = atMs
    this.#names = new PlannedNames(view.names)
    this.#exists = view.exists
    this.#expected = view.isShared ? new Map() : null
  }

  plan(requests: readonly Request[]): PlannedRequests {
    const decisions: Decision[] = []
    for (const request of requests) decisions.push(this.#decide(request))
    return { units: this.#units, decisions, expected: this.#expected ?? NOTHING_EXPECTED }
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
    return this.#units.push({ kind: 'create' }) - 1
  }

  #remove(): number {
    this.#exists = false
    this.#removed = true
    this.#names.clear()
    // Keys that were missing before keep who deleted them.
    for (const [state, { revision }] of this.#keys) if (revision !== null) this.#keys.delete(state)
    return this.#units.push({ kind: 'remove' }) - 1
  }

  #change(request: ChangeRequest, states: readonly KeyState[]): Decision {
    if (!this.#exists) return this.#refuseMissingNamespace()
    const operations = request.operations
    const keys: PlannedKey[] = []
    const conflicts: (Conflict | null)[] = []
    let firstConflict = -1
    for (let index = 0; index < operations.length; index++) {
      const key = this.#key(states[index]!)
      const refusal = this.#checkCondition(request, index, key) ?? this.#checkMetadata(request, index, key)
      if (refusal !== null) return refusal
      const conflict = this.#conflict(request, operations[index]!, key)
      if (conflict !== null && firstConflict === -1) firstConflict = index
      keys.push(key)
      conflicts.push(conflict)
    }
    if (firstConflict !== -1 && request.terms.conflictPolicy === 'error') {
      return this.#refuseConflict(request, conflicts, firstConflict)
    }
    return this.#applyNames(request, keys) ?? this.#accept(request, states, keys, conflicts)
  }

  /** The key as the plan has it so far. */
  #key(state: KeyState): PlannedKey {
    const planned = this.#keys.get(state)
    if (planned !== undefined) return planned
    if (this.#removed) return { ...MISSING, changedBy: state.head === null ? state.deletedBy : null }
    this.#expected?.set(state.key, state.revision)
    return state
  }

  #checkCondition(request: ChangeRequest, index: number, key: PlannedKey): Decision | null {
    const { key: name, ifRevision } = request.operations[index]!
    if (ifRevision === undefined) return null
    const { revision } = key
    if (ifRevision === revision) return null
    return {
      kind: 'refused',
      conflicts: [],
      error: (firstRevision) => {
        const actualRevision = settledRevision(revision, firstRevision)
        const wanted = ifRevision === null ? 'to be missing' : `at revision ${ifRevision}`
        const found = actualRevision === null ? 'it is missing' : `it is at revision ${actualRevision}`
        return stateError('REVISION_MISMATCH', `key '${name}' was expected ${wanted}, but ${found}`, {
          namespace: this.#view.namespace,
          key: name,
          actualRevision,
          ...(request.single ? {} : { index }),
        })
      },
    }
  }

  #checkMetadata(request: ChangeRequest, index: number, key: PlannedKey): Decision | null {
    const path = key.corruptMetadata
    const operation = request.operations[index]!
    if (path === null || request.terms.repairMetadata || operation.kind === 'delete') return null
    return this.#refuse(() =>
      stateError(
        'METADATA_CORRUPT',
        `the metadata of key '${operation.key}' can't be read: ${path}; ` +
          `delete the key, or write it with repairMetadata: true`,
        { namespace: this.#view.namespace, key: operation.key, path },
      ),
    )
  }

  #conflict(request: ChangeRequest, operation: RequestedOperation, key: PlannedKey): Conflict | null {
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

  #refuseConflict(request: ChangeRequest, conflicts: readonly (Conflict | null)[], index: number): Decision {
    const { kind } = request.operations[index]!
    return {
      kind: 'refused',
      conflicts: conflicts.filter((conflict) => conflict !== null),
      error: (firstRevision) => {
        const conflict = settledConflict(conflicts[index]!, firstRevision)
        return stateError('CONFLICT', conflictMessage(conflict, kind), {
          namespace: conflict.namespace,
          key: conflict.key,
          conflict,
          ...(request.single ? {} : { index }),
        })
      },
    }
  }

  /**
   * Applies what the request does to the set of names, deletions first, so that one batch can turn a file into a
   * directory. A request that can't be applied leaves the set as it was (I7).
   */
  #applyNames(request: ChangeRequest, keys: readonly PlannedKey[]): Decision | null {
    const names = this.#names
    const operations = request.operations
    const removed: string[] = []
    const added: string[] = []
    for (let index = 0; index < operations.length; index++) {
      const { kind, key } = operations[index]!
      if (kind !== 'delete' || keys[index]!.revision === null) continue
      names.remove(key)
      removed.push(key)
    }
    for (let index = 0; index < operations.length; index++) {
      const { kind, key } = operations[index]!
      if (kind === 'delete' || keys[index]!.revision !== null) continue
      const by = names.blockedBy(key)
      const full = names.count >= this.#view.namespaceKeysMax
      if (by !== null || full) {
        for (const each of added) names.remove(each)
        for (const each of removed) names.add(each)
        return by !== null ? this.#refuseBlocked(key, by) : this.#refuseFull(key)
      }
      names.add(key)
      added.push(key)
    }
    return null
  }

  #accept(
    request: ChangeRequest,
    states: readonly KeyState[],
    keys: readonly PlannedKey[],
    conflicts: readonly (Conflict | null)[],
  ): Decision {
    const unit = this.#units.length
    const changes: Change[] = []
    const operations: PlannedOperation[] = []
    const { writer } = request.terms
    for (let index = 0; index < request.operations.length; index++) {
      const operation = request.operations[index]!
      const state = states[index]!
      const key = keys[index]!
      const conflict = conflicts[index]!
      if (operation.kind === 'write') {
        const change = this.#write(operation, writer, key)
        changes.push(change)
        this.#keys.set(state, {
          revision: -unit - 1,
          identity: change.writer,
          identityAtS: change.writerAtS,
          changedBy: writer,
          corruptMetadata: null,
        })
        operations.push({ operation, state, effect: 'write', change, conflict })
      } else if (key.revision === null) {
        operations.push({ operation, state, effect: 'none', change: null, conflict: null })
      } else {
        changes.push({ kind: 'delete', key: operation.key })
        this.#keys.set(state, { ...MISSING, changedBy: writer })
        operations.push({ operation, state, effect: 'delete', change: null, conflict })
      }
    }
    if (changes.length > 0) this.#units.push({ kind: 'change', changes })
    return { kind: 'change', unit: changes.length > 0 ? unit : null, operations, current: writer }
  }

  /** An anonymous write keeps the identity of the last named writer. */
  #write(
    operation: Extract<RequestedOperation, { kind: 'write' }>,
    writer: Writer | null,
    key: PlannedKey,
  ): Extract<Change, { kind: 'write' }> {
    return {
      kind: 'write',
      key: operation.key,
      value: operation.value,
      size: operation.size,
      writer: writer ?? key.identity,
      writerAtS: writer === null ? key.identityAtS : Math.floor(this.#atMs / 1000),
      anonymous: writer === null,
    }
  }

  #refuse(error: () => AgentStateError): Decision {
    return { kind: 'refused', conflicts: [], error }
  }

  #refuseMissingNamespace(): Decision {
    const namespace = this.#view.namespace
    return this.#refuse(() =>
      stateError('NAMESPACE_NOT_FOUND', `namespace '${namespace}' was removed; init() makes it anew`, {
        namespace,
      }),
    )
  }

  #refuseBlocked(key: string, by: string): Decision {
    return this.#refuse(() =>
      stateError('KEY_BLOCKED', `key '${key}' can't exist beside key '${by}': their paths clash`, {
        namespace: this.#view.namespace,
        key,
        by,
      }),
    )
  }

  #refuseFull(key: string): Decision {
    const max = this.#view.namespaceKeysMax
    return this.#refuse(() =>
      stateError('LIMIT_EXCEEDED', `namespace '${this.#view.namespace}' has ${max} keys already`, {
        namespace: this.#view.namespace,
        key,
        limit: 'namespaceKeysMax',
        max,
        actual: max + 1,
      }),
    )
  }
}

const NOTHING_EXPECTED: ReadonlyMap<string, number | null> = new Map()

const MISSING = { revision: null, identity: null, identityAtS: null, corruptMetadata: null } as const

/** The origin's sentence, with the verb that fits. */
function conflictMessage(conflict: Conflict, kind: 'write' | 'delete'): string {
  const verb = kind === 'write' ? 'written' : 'deleted'
  const previous = displayName(conflict.previous)
  const found = conflict.previousRevision === null ? 'deleted' : 'written'
  return (
    `agent_state.${kind}: key '${conflict.key}' was previously ${found} by '${previous}' ` +
    `and is now being ${verb} by '${displayName(conflict.current)}'`
  )
}
