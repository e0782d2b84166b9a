/**
 * Committer owns the commit groups: it takes requests of many namespaces from the intake, plans them, has the backend
 * commit them together, and settles them with what the backend answers.
 *
 * - I3: one plan of a namespace is under way at a time; its requests settle in their order. Namespaces take turns.
 * - I2: nothing of a plan is applied to the states before the backend has answered.
 * - I8: a request whose commit failed learns whether it changed nothing or whether that is unknown.
 * - I11: every request is answered, also when the store fails or closes.
 */
import { performance } from 'node:perf_hooks'
import type { Backend, CommitOutcome, Plan } from '../backend/backend.js'
import { stateError, type AgentStateError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { CommitCounts } from './commit-counts.js'
import { unpin, Intake } from './intake.js'
import type { Mailbox } from './mailbox.js'
import type { NamespaceState } from './namespace-state.js'
import type { Namespaces } from './namespaces.js'
import { plan, type Decision, type PlannedRequests } from './plan.js'
import type { Publisher } from './publisher.js'
import type { Reader } from './reader.js'
import { storeFailed } from './refusals.js'
import type { Request } from './request.js'
import type { RequestAnswer } from '../requests.js'
import { tracing } from '../tracing.js'
import { settle, type SettleContext } from './settle.js'

export interface CommitterParts {
  readonly backend: Backend
  readonly limits: Limits
  readonly namespaces: Namespaces
  readonly publisher: Publisher
  readonly reader: Reader
  readonly counts: CommitCounts
  readonly now: () => number
}

/** The part of a commit group that belongs to one namespace. */
interface Batch {
  readonly mailbox: Mailbox
  readonly requests: readonly Request[]
  readonly operationCount: number
  readonly planned: PlannedRequests
  readonly plan: Plan
}

const NONE: readonly Request[] = []

const UNANSWERED: CommitOutcome = {
  status: 'unknown',
  revision: null,
  cause: new Error('the backend gave no answer'),
}

export class Committer {
  readonly #backend: Backend
  readonly #limits: Limits
  readonly #namespaces: Namespaces
  readonly #publisher: Publisher
  readonly #now: () => number
  readonly #intake: Intake
  readonly #counts: CommitCounts
  /** When the groups under way were begun, oldest first. */
  readonly #underWay = new Map<readonly Batch[], number>()
  #scheduled = false
  #waitingForBackend = false
  #failure: AgentStateError | null = null
  readonly #idleWaiters: (() => void)[] = []

  constructor({ backend, limits, namespaces, publisher, reader, counts, now }: CommitterParts) {
    this.#backend = backend
    this.#limits = limits
    this.#namespaces = namespaces
    this.#publisher = publisher
    this.#counts = counts
    this.#now = now
    this.#intake = new Intake(limits, namespaces, reader, counts, () => this.#changed())
  }

  submit(state: NamespaceState, request: Request, signal: AbortSignal | undefined): void {
    this.#intake.submit(state, request, signal)
  }

  /** What waits to be committed. */
  get queue(): { readonly operations: number; readonly bytes: number } {
    return this.#intake.queue
  }

  /** Milliseconds for which the oldest group under way has waited for the backend's answer; 0: there is none. */
  get commitWaitMs(): number {
    const [beginMs] = this.#underWay.values()
    return beginMs === undefined ? 0 : performance.now() - beginMs
  }

  isInUse(state: NamespaceState): boolean {
    return this.#intake.isInUse(state)
  }

  /** No write is acknowledged any more: what waits is refused, what is being committed learns its outcome. */
  fail(error: AgentStateError): void {
    this.#failure ??= error
    this.#intake.fail(error)
    this.#settleIfIdle()
  }

  /** Resolves when everything that was submitted has been answered. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve)
      this.#settleIfIdle()
    })
  }

  #changed(): void {
    if (this.#intake.ready.size > 0) this.#schedule()
    this.#settleIfIdle()
  }

  /** Groups form at the end of the turn of the event loop, so that what is asked for together travels together. */
  #schedule(): void {
    if (
      this.#scheduled ||
      this.#waitingForBackend ||
      this.#underWay.size >= this.#backend.supports.commitsInFlight
    )
      return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#underWay.size < this.#backend.supports.commitsInFlight && this.#intake.ready.size > 0) {
      const wait = this.#backend.ready()
      if (wait !== null) {
        this.#pumpAfter(wait)
        return
      }
      const group = this.#formGroup()
      if (group.length > 0) void this.#commit(group)
      else this.#namespaces.trim()
    }
    this.#settleIfIdle()
  }

  #pumpAfter(wait: Promise<void>): void {
    this.#waitingForBackend = true
    void wait.then(() => {
      this.#waitingForBackend = false
      this.#pump()
    })
  }

  /** Takes from the ready mailboxes in turn, each at most its share of what one group may hold. */
  #formGroup(): Batch[] {
    const group: Batch[] = []
    const ready = [...this.#intake.ready]
    let operations = this.#limits.groupOperationsMax
    let bytes = this.#limits.groupBytesMax
    const atMs = this.#now()
    const operationsShare = Math.max(1, Math.floor(operations / ready.length))
    const bytesShare = Math.max(1, Math.floor(bytes / ready.length))
    for (const mailbox of ready) {
      if (operations <= 0 || bytes <= 0) break
      const requests = this.#intake.take(
        mailbox,
        Math.min(operations, operationsShare),
        Math.min(bytes, bytesShare),
      )
      if (requests.length === 0) continue
      let operationCount = 0
      for (const request of requests) {
        operationCount += request.operationCount
        bytes -= request.bytes
      }
      operations -= operationCount
      const batch = this.#plan(mailbox, requests, operationCount, atMs)
      if (batch !== null) group.push(batch)
    }
    this.#intake.admitWaiting()
    return group
  }

  /** Null if the requests change nothing: then they are answered at once. */
  #plan(mailbox: Mailbox, requests: readonly Request[], operationCount: number, atMs: number): Batch | null {
    const namespace = mailbox.namespace
    const planned = plan(
      {
        namespace: namespace.name,
        exists: namespace.exists,
        names: namespace.names,
        namespaceKeysMax: this.#limits.namespaceKeysMax,
        isShared: !this.#backend.supports.exclusive,
      },
      requests,
      atMs,
    )
    const { units, expected } = planned
    const changes = { namespace: namespace.name, units, atMs, expected }
    const batch = { mailbox, requests, operationCount, planned, plan: changes }
    if (units.length > 0) return batch
    this.#settleBatch(batch, namespace.lastRevision)
    this.#intake.giveBack(mailbox, NONE)
    return null
  }

  async #commit(group: readonly Batch[]): Promise<void> {
    const operations = group.reduce((sum, { operationCount }) => sum + operationCount, 0)
    this.#counts.groupOperations.record(operations)
    const beginMs = performance.now()
    this.#underWay.set(group, beginMs)
    const commit = (): Promise<readonly CommitOutcome[]> =>
      this.#outcomes(group.map(({ plan: each }) => each))
    const outcomes = tracing.commit.hasSubscribers
      ? await tracing.commit.tracePromise(commit, { operations })
      : await commit()
    this.#counts.commitMs.record(performance.now() - beginMs)
    this.#underWay.delete(group)
    const again = group.map((batch, index) => this.#answer(batch, outcomes[index] ?? UNANSWERED))
    group.forEach(({ mailbox }, index) => this.#intake.giveBack(mailbox, again[index]!))
    this.#namespaces.trim()
    this.#changed()
  }

  /** A backend that breaks the contract and rejects, or leaves out an answer, has told nothing of what happened. */
  async #outcomes(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    try {
      return await this.#backend.commit(plans)
    } catch (cause) {
      return plans.map(() => ({ status: 'unknown', revision: null, cause }))
    }
  }

  /** Tells the callers; returns the requests that have to be planned anew. */
  #answer(batch: Batch, outcome: CommitOutcome): readonly Request[] {
    switch (outcome.status) {
      case 'committed':
        this.#settleBatch(batch, outcome.revision)
        return NONE
      case 'stale':
        for (const [key, head] of outcome.heads) {
          this.#namespaces.setFound(batch.mailbox.namespace.key(key), head)
        }
        return batch.requests
      case 'rejected':
        return this.#reject(batch, outcome.error, outcome.deletesOnly === true)
      case 'unknown':
        this.#answerUnknown(batch, outcome.revision, outcome.cause)
        return NONE
    }
  }

  #settleBatch(batch: Batch, firstRevision: number): void {
    const context: SettleContext = {
      namespaces: this.#namespaces,
      publisher: this.#publisher,
      counts: this.#counts,
      state: batch.mailbox.namespace,
      atMs: batch.plan.atMs,
      firstRevision,
    }
    const { requests, planned } = batch
    for (let index = 0; index < requests.length; index++) {
      const request = requests[index]!
      const decision = planned.decisions[index]!
      try {
        const answer = settle(context, request, decision)
        if (waitsForTree(request, decision)) {
          void this.#answerFromTree(batch, request, decision, answer, firstRevision)
        } else {
          request.resolve(answer)
        }
      } catch (error) {
        this.#counts.refused++
        request.reject(error)
      }
      unpin(request)
    }
  }

  async #answerFromTree(
    batch: Batch,
    request: Request,
    decision: Extract<Decision, { kind: 'change' }>,
    answer: RequestAnswer,
    firstRevision: number,
  ): Promise<void> {
    const keys = decision.operations.map(({ operation }) => operation.key)
    const revision = firstRevision + (decision.unit ?? 0)
    try {
      await this.#backend.materialized(batch.plan.namespace, keys, revision)
      request.resolve(answer)
    } catch (error) {
      request.reject(error)
    }
  }

  /** Nothing was changed. Requests that don't depend on what was refused are planned anew. */
  #reject(batch: Batch, error: AgentStateError, deletesOnly: boolean): readonly Request[] {
    const again: Request[] = []
    batch.requests.forEach((request, index) => {
      const decision = batch.planned.decisions[index]!
      const changes = decision.kind !== 'refused' && decision.unit !== null
      if (!changes || (deletesOnly && onlyDeletes(request))) {
        again.push(request)
      } else {
        request.reject(error)
        unpin(request)
      }
    })
    return again
  }

  #answerUnknown(batch: Batch, firstRevision: number | null, cause: unknown): void {
    const namespace = batch.plan.namespace
    batch.requests.forEach((request, index) => {
      const decision = batch.planned.decisions[index]!
      const unit = decision.kind === 'refused' ? null : decision.unit
      if (unit === null) {
        request.reject(storeFailed(this.#failure ?? cause))
      } else {
        const revision = firstRevision === null ? null : firstRevision + unit
        const message = `the change in namespace '${namespace}' may or may not survive: its sync failed`
        request.reject(stateError('OUTCOME_UNKNOWN', message, { namespace, revision, cause }))
      }
      unpin(request)
    })
  }

  #settleIfIdle(): void {
    if (this.#idleWaiters.length === 0 || this.#underWay.size > 0) return
    if (!this.#intake.isIdle) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}

function waitsForTree(
  request: Request,
  decision: Decision,
): decision is Extract<Decision, { kind: 'change' }> {
  return (
    request.body.kind === 'change' &&
    request.body.terms.durability === 'tree' &&
    decision.kind === 'change' &&
    decision.unit !== null
  )
}

function onlyDeletes(request: Request): boolean {
  return (
    request.body.kind === 'remove' ||
    (request.body.kind === 'change' && request.body.operations.every(({ kind }) => kind === 'delete'))
  )
}
