/** Carries out a workload on an open store, as many agents at once would: nothing waits but where the workload says so. */
import type { Operation, Session, Store } from '../../../src/api.js'
import { AgentStateError } from '../../../src/errors.js'
import type { Change, History, Unit } from './history.js'
import type { Step } from './workload.js'

/** Who is told of requests and their answers. */
export interface Witness {
  asked(change: Change): Unit
  /** Null: it changed nothing, or nobody says what revision that has. */
  acknowledged(unit: Unit, revision: number | null): void
  /** The files show the request, durably. */
  inTree?(units: readonly Unit[]): void
  /** What was acknowledged so far; undefined: nobody wants to know. */
  acknowledgedUnits?(): readonly Unit[]
  /** Null: it was no request for a change. */
  failed(unit: Unit | null, error: unknown): void
  saw(namespace: string, key: string, value: string): void
}

/** Never rejects because of what the store answers: that is told to the witness. */
export async function execute(store: Store, steps: readonly Step[], witness: Witness): Promise<void> {
  const sessions = await existingSessions(store, steps, witness)
  let underWay: Promise<void>[] = []
  for (const step of steps) {
    if (step.kind === 'pause') {
      await Promise.all(underWay)
      underWay = []
    } else {
      underWay.push(executeStep({ store, sessions, witness }, step))
    }
  }
  await Promise.all(underWay)
}

interface Execution {
  readonly store: Store
  /** Anonymous ones. A session goes on when its namespace is removed and made again. */
  readonly sessions: Map<string, Session>
  readonly witness: Witness
}

async function existingSessions(
  store: Store,
  steps: readonly Step[],
  witness: Witness,
): Promise<Map<string, Session>> {
  const sessions = new Map<string, Session>()
  for (const namespace of new Set(steps.flatMap((step) => ('namespace' in step ? [step.namespace] : [])))) {
    try {
      sessions.set(namespace, await store.resume(namespace))
    } catch (error) {
      if (!AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')) witness.failed(null, error)
    }
  }
  return sessions
}

async function executeStep(
  execution: Execution,
  step: Exclude<Step, { readonly kind: 'pause' }>,
): Promise<void> {
  if (step.kind !== 'read' && step.kind !== 'flush') return ask(execution, step)
  const { store, sessions, witness } = execution
  try {
    if (step.kind === 'flush') {
      const acknowledged = witness.acknowledgedUnits?.() ?? []
      await store.flush()
      return witness.inTree?.(acknowledged)
    }
    const value = await sessions.get(step.namespace)?.read(step.key)
    if (value != null) witness.saw(step.namespace, step.key, value)
  } catch (error) {
    witness.failed(null, error)
  }
}

async function ask({ store, sessions, witness }: Execution, step: Change): Promise<void> {
  const session = sessions.get(step.namespace)
  if (step.kind === 'change' && session === undefined) return
  const unit = witness.asked(step)
  try {
    let revision: number | null = null
    if (step.kind === 'create') sessions.set(step.namespace, await store.init(step.namespace))
    else if (step.kind === 'remove') await store.remove(step.namespace)
    else revision = await change(session!, step)
    witness.acknowledged(unit, revision)
    // What deleted only what was missing has no revision, and waited for nothing.
    if (step.kind === 'change' && step.durability === 'tree' && revision !== null) witness.inTree?.([unit])
  } catch (error) {
    if (AgentStateError.is(error, 'TREE_PENDING')) witness.acknowledged(unit, error.revision)
    else witness.failed(unit, error)
  }
}

async function change(
  session: Session,
  { writer, durability, changes }: Extract<Change, { readonly kind: 'change' }>,
): Promise<number | null> {
  const agent = writer === null ? session : session.with({ writer: { writerId: writer } })
  const [only] = changes
  if (changes.length === 1 && only !== undefined) {
    const { key, value } = only
    if (value === null) return (await agent.delete(key, { durability })).revision
    return (await agent.write(key, value, { durability })).revision
  }
  const operations = changes.map(({ key, value }): Operation => {
    return value === null ? { delete: key } : { write: key, value }
  })
  const results = await agent.batch(operations, { durability })
  return results.find(({ revision }) => revision !== null)?.revision ?? null
}

/** Notes all in a history. What a failure means for its request is what the error says of itself (I8). */
export function witnessOf(history: History, onFailure: (error: unknown) => void): Witness {
  return {
    asked: (change) => history.ask(change),
    acknowledged: (unit, revision) => history.acknowledged(unit, revision),
    acknowledgedUnits: () => history.acknowledgedUnits(),
    inTree: (units) => history.inTree(units),
    saw: (namespace, key, value) => history.seen(namespace, key, value),
    failed(unit, error) {
      onFailure(error)
      if (unit === null) return
      if (AgentStateError.is(error, 'OUTCOME_UNKNOWN')) history.unknown(unit, error.revision)
      else if (AgentStateError.is(error) && error.outcome === 'unchanged') history.refused(unit)
      else history.unknown(unit, null)
    },
  }
}

/** Refusals that the workload provokes: they say nothing of the disk. */
export function isOrdinaryRefusal(error: unknown): boolean {
  return AgentStateError.is(error, 'KEY_BLOCKED') || AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')
}
