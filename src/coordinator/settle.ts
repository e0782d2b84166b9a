/**
 * Settling: what a committed plan means for the state in memory, for subscribers and for the callers, in this order,
 * after the backend's acknowledgement (I2).
 */
import type { DeleteResult, WriteResult } from '../api.js'
import type { Head } from '../backend/backend.js'
import type { CommitCounts } from './commit-counts.js'
import { appended } from '../appended.js'
import type { NamespaceState } from './namespace-state.js'
import type { Namespaces } from './namespaces.js'
import { settledConflict, type Decision, type PlannedConflict, type PlannedOperation } from './plan.js'
import type { Publisher } from './publisher.js'
import type { Request } from './request.js'
import type { OperationResult, RequestAnswer } from '../requests.js'

export interface SettleContext {
  readonly namespaces: Namespaces
  readonly publisher: Publisher
  readonly counts: CommitCounts
  readonly state: NamespaceState
  /** When the plan was made. */
  readonly atMs: number
  /** Revision of the plan's first unit. */
  readonly firstRevision: number
}

/** Applies one decision and gives the caller's answer; the caller is told by the committer, which knows when. */
export function settle(context: SettleContext, request: Request, decision: Decision): RequestAnswer {
  const { namespaces, state, firstRevision } = context
  switch (decision.kind) {
    case 'create':
      if (decision.unit !== null) namespaces.setCreated(state, firstRevision + decision.unit)
      return decision.unit !== null
    case 'remove':
      if (decision.unit !== null) remove(context, firstRevision + decision.unit)
      return decision.unit !== null
    case 'change':
      return settleChange(context, request, decision)
    case 'refused':
      publishConflicts(context, request, decision.conflicts)
      throw decision.error(firstRevision)
  }
}

function remove(context: SettleContext, revision: number): void {
  const { namespaces, publisher, state } = context
  const keys = state.names.sorted()
  namespaces.setRemoved(state, revision)
  for (const key of keys) {
    publisher.changed(state.inHistory, key, 'delete', revision, null)
  }
}

function settleChange(
  context: SettleContext,
  request: Request,
  decision: Extract<Decision, { kind: 'change' }>,
): RequestAnswer {
  const revision = decision.unit === null ? null : context.firstRevision + decision.unit
  const { operations } = decision
  let results: OperationResult[] | null = null
  for (const planned of operations) results = appended(results, apply(context, planned, revision, decision))
  if (results === null) return []
  // Whoever is told of one change of a batch finds all of them.
  for (let index = 0; index < results.length; index++) {
    publish(context, request, decision, operations[index]!, results[index]!)
  }
  return request.body.kind === 'change' && request.body.single ? results[0]! : results
}

function publish(
  { publisher, state, atMs }: SettleContext,
  request: Request,
  decision: Extract<Decision, { kind: 'change' }>,
  planned: PlannedOperation,
  { revision, conflict }: OperationResult,
): void {
  const { key } = planned.state
  const kind = planned.effect
  request.seen?.setKept(key, kind === 'write' ? revision : null)
  if (kind === 'none' || revision === null) return
  publisher.changed(state.inHistory, key, kind, revision, decision.current)
  if (conflict === null || request.body.kind !== 'change') return
  const outcome = kind === 'write' ? 'written' : 'deleted'
  publisher.conflict(conflict, request.body.terms.conflictPolicy, outcome, revision, atMs)
}

function apply(
  context: SettleContext,
  planned: PlannedOperation,
  revision: number | null,
  decision: Extract<Decision, { kind: 'change' }>,
): OperationResult {
  const { state, effect, change } = planned
  const { key } = state
  if (effect === 'none' || revision === null) {
    return { key, deleted: false, revision: null, conflict: null } satisfies DeleteResult
  }
  const conflict = planned.conflict === null ? null : settledConflict(planned.conflict, context.firstRevision)
  if (change === null) {
    context.counts.deletes++
    context.namespaces.setDeleted(state, revision, decision.current)
    return { key, deleted: true, revision, conflict } satisfies DeleteResult
  }
  context.counts.writes++
  const head: Head = {
    revision,
    writer: change.writer,
    writerAtS: change.writerAtS,
    anonymous: change.anonymous,
    external: false,
    size: change.size,
    updatedAtMs: context.atMs,
  }
  context.namespaces.setWritten(state, head, change.value)
  return { key, revision, conflict } satisfies WriteResult
}

function publishConflicts(
  context: SettleContext,
  request: Request,
  conflicts: readonly PlannedConflict[],
): void {
  if (request.body.kind !== 'change') return
  const policy = request.body.terms.conflictPolicy
  for (const conflict of conflicts) {
    const settled = settledConflict(conflict, context.firstRevision)
    context.publisher.conflict(settled, policy, 'refused', null, context.atMs)
  }
}
