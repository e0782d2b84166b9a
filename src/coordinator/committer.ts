/**
 * Committer owns the mailboxes and the way of a request through them: admitted, heads looked up, planned, committed
 * together with the requests of other namespaces, settled. It talks to the backend below, and to the namespaces'
 * states and the publisher beside it.
 *
 * - I3: one plan of a namespace is under way at a time; its requests settle in their order. Namespaces take turns.
 * - I2: nothing of a plan is applied to the states before the backend has answered.
 * - I8: a request whose commit failed learns whether it changed nothing or whether that is unknown.
 * - I11: every request is answered, also when the store fails or closes.
 */
import type { Backend, CommitOutcome, Plan } from '../backend/backend.js'
import { stateError, type AgentStateError } from '../errors.js'
import type { Limits } from '../limits.js'
import { Admission, Mailbox } from './mailbox.js'
import type { KeyState, NamespaceState } from './namespace-state.js'
import type { Namespaces } from './namespaces.js'
import { plan, type Decision, type PlannedRequests } from './plan.js'
import type { Publisher } from './publisher.js'
import type { Reader } from './reader.js'
import type { Request, RequestAnswer } from './request.js'
import { settle, type SettleContext } from './settle.js'

/** The part of a commit group that belongs to one namespace. */
interface Batch {
  readonly mailbox: Mailbox
  readonly requests: readonly Request[]
  readonly planned: PlannedRequests
  readonly plan: Plan
}

export class Committer {
  readonly #backend: Backend
  readonly #limits: Limits
  readonly #namespaces: Namespaces
  readonly #publisher: Publisher
  readonly #reader: Reader
  readonly #now: () => number
  readonly #admission: Admission
  readonly #mailboxes = new Map<NamespaceState, Mailbox>()
  /** Mailboxes that can be planned, in the order of their turns. */
  readonly #ready = new Set<Mailbox>()
  #inFlight = 0
  #scheduled = false
  #waitingForBackend = false
  #failure: AgentStateError | null = null
  #idleWaiters: (() => void)[] = []

  constructor(
    backend: Backend,
    limits: Limits,
    namespaces: Namespaces,
    publisher: Publisher,
    reader: Reader,
    now: () => number,
  ) {
    this.#backend = backend
    this.#limits = limits
    this.#namespaces = namespaces
    this.#publisher = publisher
    this.#reader = reader
    this.#now = now
    this.#admission = new Admission(limits.queueBytesMax)
  }

  submit(state: NamespaceState, request: Request, signal: AbortSignal | undefined): void {
    if (this.#failure !== null) {
      request.reject(storeFailed(this.#failure))
      return
    }
    let mailbox = this.#mailboxes.get(state)
    if (mailbox === undefined) {
      mailbox = new Mailbox(state, this.#admission, this.#limits.queueOperationsMax, (box) => this.#wake(box))
      this.#mailboxes.set(state, mailbox)
    }
    if (signal !== undefined) request.listen(signal, () => this.#wake(mailbox))
    mailbox.add(request)
  }

  isInUse(state: NamespaceState): boolean {
    const mailbox = this.#mailboxes.get(state)
    if (mailbox === undefined) return false
    if (!mailbox.isIdle) return true
    this.#mailboxes.delete(state)
    return false
  }

  /** No write is acknowledged any more: what waits is refused, what is being committed learns its outcome. */
  fail(error: AgentStateError): void {
    this.#failure ??= error
    for (const mailbox of this.#mailboxes.values()) {
      this.#rejectAll(mailbox, () => storeFailed(error))
      this.#settleIfIdle()
    }
  }

  /** Resolves when everything that was submitted has been answered. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve)
      this.#settleIfIdle()
    })
  }

  #wake(mailbox: Mailbox): void {
    if (mailbox.committing || mailbox.loading || mailbox.insideCount === 0) return
    this.#ready.add(mailbox)
    this.#schedule()
  }

  /** Groups form at the end of the turn of the event loop, so that what is asked for together travels together. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#backend.supports.commitsInFlight) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#inFlight < this.#backend.supports.commitsInFlight && this.#ready.size > 0) {
      const wait = this.#backend.ready()
      if (wait !== null) {
        this.#pumpAfter(wait)
        return
      }
      const group = this.#formGroup()
      if (group.length > 0) void this.#commit(group)
    }
  }

  #pumpAfter(wait: Promise<void>): void {
    if (this.#waitingForBackend) return
    this.#waitingForBackend = true
    void wait.then(() => {
      this.#waitingForBackend = false
      this.#pump()
    })
  }

  /** Takes from the ready mailboxes in turn, each at most its share of what one group may hold. */
  #formGroup(): Batch[] {
    const group: Batch[] = []
    let operations = this.#limits.groupOperationsMax
    let bytes = this.#limits.groupBytesMax
    const shares = this.#ready.size
    const operationsShare = Math.max(1, Math.floor(operations / shares))
    const bytesShare = Math.max(1, Math.floor(bytes / shares))
    for (const mailbox of [...this.#ready]) {
      if (operations <= 0 || bytes <= 0) break
      this.#ready.delete(mailbox)
      const requests = this.#take(mailbox, Math.min(operations, operationsShare), Math.min(bytes, bytesShare))
      if (requests.length === 0) continue
      for (const request of requests) {
        operations -= request.operationCount
        bytes -= request.bytes
      }
      const batch = this.#plan(mailbox, requests)
      if (batch !== null) group.push(batch)
    }
    if (this.#admission.waiting.size > 0) this.#admission.admitWaiting()
    return group
  }

  /** At least one request if there is one whose heads are known; loads what is missing for the others. */
  #take(mailbox: Mailbox, operationsMax: number, bytesMax: number): Request[] {
    const taken: Request[] = []
    let operations = 0
    let bytes = 0
    for (let next = mailbox.peekAt(0); next !== undefined; next = mailbox.peekAt(0)) {
      if (next.withdrawn) {
        this.#unpin(mailbox.take()!)
        continue
      }
      const full = operations + next.operationCount > operationsMax || bytes + next.bytes > bytesMax
      if (taken.length > 0 && full) break
      const error = takeLoadError(next)
      if (error !== null) {
        mailbox.take()
        next.reject(error)
        this.#unpin(next)
        continue
      }
      if (!this.#prepare(mailbox.namespace, next)) {
        if (!mailbox.loading) void this.#load(mailbox)
        break
      }
      mailbox.take()
      next.seal()
      operations += next.operationCount
      bytes += next.bytes
      taken.push(next)
    }
    return taken
  }

  /** True if all that the request's plan needs is in memory; the keys stay there until the request is answered. */
  #prepare(namespace: NamespaceState, request: Request): boolean {
    if (namespace.load.status !== 'loaded') return false
    if (request.body.kind !== 'change') return true
    if (request.states.length === 0) {
      const states = request.body.operations.map(({ key }) => namespace.key(key))
      for (const state of states) {
        state.pins++
        this.#namespaces.account(state)
      }
      request.states = states
    }
    return request.states.every((state) => state.head !== undefined)
  }

  #unpin(request: Request): void {
    for (const state of request.states) state.pins--
    request.states = []
  }

  /** Loads the namespace, or the heads of the next requests. A failure is the answer of the first of them. */
  async #load(mailbox: Mailbox): Promise<void> {
    const namespace = mailbox.namespace
    mailbox.loading = true
    try {
      const loading = this.#namespaces.load(namespace)
      if (loading !== null) await loading
      const missing = this.#missingHeads(mailbox)
      if (missing.length > 0) await this.#reader.loadHeads(namespace, missing)
    } catch (error) {
      const request = mailbox.take()
      if (request !== undefined) {
        this.#unpin(request)
        if (!request.withdrawn) request.reject(error)
      }
    }
    mailbox.loading = false
    if (this.#failure !== null) {
      const failure = this.#failure
      this.#rejectAll(mailbox, () => storeFailed(failure))
    }
    this.#wake(mailbox)
    this.#settleIfIdle()
  }

  #missingHeads(mailbox: Mailbox): KeyState[] {
    const missing = new Set<KeyState>()
    for (let i = 0; missing.size < this.#limits.groupOperationsMax; i++) {
      const request = mailbox.peekAt(i)
      if (request === undefined) break
      if (request.withdrawn || this.#prepare(mailbox.namespace, request)) continue
      for (const state of request.states) if (state.head === undefined) missing.add(state)
    }
    return [...missing]
  }

  /** Null if the requests change nothing: then they are answered at once. */
  #plan(mailbox: Mailbox, requests: readonly Request[]): Batch | null {
    const namespace = mailbox.namespace
    const atMs = this.#now()
    const planned = plan(
      {
        namespace: namespace.name,
        exists: namespace.exists,
        names: namespace.names,
        namespaceKeysMax: this.#limits.namespaceKeysMax,
      },
      requests,
      atMs,
    )
    const { units, expected } = planned
    const batch = { mailbox, requests, planned, plan: { namespace: namespace.name, units, atMs, expected } }
    mailbox.committing = true
    if (units.length > 0) return batch
    this.#settleBatch(batch, namespace.lastRevision)
    this.#finish(mailbox)
    return null
  }

  async #commit(group: readonly Batch[]): Promise<void> {
    this.#inFlight++
    const outcomes = await this.#backend.commit(group.map((batch) => batch.plan))
    this.#inFlight--
    group.forEach((batch, index) => this.#answer(batch, outcomes[index]!))
    for (const batch of group) this.#finish(batch.mailbox)
    this.#namespaces.trim()
    if (this.#ready.size > 0) this.#schedule()
  }

  #answer(batch: Batch, outcome: CommitOutcome): void {
    switch (outcome.status) {
      case 'committed':
        this.#settleBatch(batch, outcome.revision)
        return
      case 'stale':
        for (const [key, head] of outcome.heads) {
          this.#namespaces.setHead(batch.mailbox.namespace.key(key), head)
        }
        batch.mailbox.putBack(batch.requests)
        return
      case 'rejected':
        this.#reject(batch, outcome.error, outcome.deletesOnly === true)
        return
      case 'unknown':
        this.#answerUnknown(batch, outcome.revision, outcome.cause)
    }
  }

  #settleBatch(batch: Batch, firstRevision: number): void {
    const context: SettleContext = {
      namespaces: this.#namespaces,
      publisher: this.#publisher,
      state: batch.mailbox.namespace,
      atMs: batch.plan.atMs,
      firstRevision,
    }
    batch.requests.forEach((request, index) => {
      const decision = batch.planned.decisions[index]!
      try {
        const answer = settle(context, request, decision)
        if (waitsForTree(request, decision)) {
          void this.#answerFromTree(batch, request, decision, answer, firstRevision)
        } else {
          request.resolve(answer)
        }
      } catch (error) {
        request.reject(error)
      }
      this.#unpin(request)
    })
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
  #reject(batch: Batch, error: AgentStateError, deletesOnly: boolean): void {
    const again: Request[] = []
    batch.requests.forEach((request, index) => {
      const decision = batch.planned.decisions[index]!
      const changes = decision.kind !== 'refused' && decision.unit !== null
      if (!changes || (deletesOnly && onlyDeletes(request))) {
        again.push(request)
      } else {
        request.reject(error)
        this.#unpin(request)
      }
    })
    batch.mailbox.putBack(again)
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
      this.#unpin(request)
    })
  }

  #finish(mailbox: Mailbox): void {
    mailbox.committing = false
    if (this.#failure !== null) {
      const failure = this.#failure
      this.#rejectAll(mailbox, () => storeFailed(failure))
    }
    this.#wake(mailbox)
    this.#settleIfIdle()
  }

  #rejectAll(mailbox: Mailbox, error: () => AgentStateError): void {
    if (mailbox.committing || mailbox.loading) return
    do {
      for (let request = mailbox.take(); request !== undefined; request = mailbox.take()) {
        if (!request.withdrawn) request.reject(error())
        this.#unpin(request)
      }
    } while (mailbox.admitOne())
    this.#admission.waiting.delete(mailbox)
    this.#ready.delete(mailbox)
  }

  #settleIfIdle(): void {
    if (this.#idleWaiters.length === 0 || this.#inFlight > 0) return
    for (const mailbox of this.#mailboxes.values()) if (!mailbox.isIdle) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}

/** Why one of the request's keys could not be looked up; the next request asks again. */
function takeLoadError(request: Request): AgentStateError | null {
  let error: AgentStateError | null = null
  for (const state of request.states) {
    error ??= state.loadError
    state.loadError = null
  }
  return error
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

/** An error of its own for every caller: nothing was changed for this one. */
export function storeFailed(cause: unknown): AgentStateError {
  return stateError(
    'STORE_FAILED',
    'the store has failed and takes no more writes; close it and open it again',
    {
      cause,
    },
  )
}
