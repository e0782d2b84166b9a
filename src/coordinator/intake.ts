/**
 * Intake owns the requests from the call until they are taken into a plan: one mailbox a namespace, the bounds on what may
 * wait in them, and the looking up of what a plan needs to know. The committer takes from it.
 *
 * - I3: requests of a namespace are taken in the order of the calls.
 * - I11: when the store fails, everything that waits here is refused: nothing of it was changed.
 */
import { performance } from 'node:perf_hooks'
import type { AgentStateError } from '../errors.js'
import type { Limits } from '../limits.js'
import { appended } from '../appended.js'
import type { CommitCounts } from './commit-counts.js'
import { Admission, Mailbox } from './mailbox.js'
import type { KeyState, NamespaceState } from './namespace-state.js'
import type { Namespaces } from './namespaces.js'
import type { Reader } from './reader.js'
import { storeFailed } from './refusals.js'
import { NO_STATES, type Request } from './request.js'

export class Intake {
  readonly #limits: Limits
  readonly #namespaces: Namespaces
  readonly #reader: Reader
  readonly #counts: CommitCounts
  /** A mailbox may have become ready, or idle. */
  readonly #onChange: () => void
  readonly #admission: Admission
  readonly #mailboxes = new Map<NamespaceState, Mailbox>()
  /** Mailboxes that can be taken from, in the order of their turns. */
  readonly #ready = new Set<Mailbox>()
  #failure: AgentStateError | null = null

  constructor(
    limits: Limits,
    namespaces: Namespaces,
    reader: Reader,
    counts: CommitCounts,
    onChange: () => void,
  ) {
    this.#limits = limits
    this.#namespaces = namespaces
    this.#reader = reader
    this.#counts = counts
    this.#onChange = onChange
    this.#admission = new Admission(limits.queueBytesMax)
  }

  /** Mailboxes that can be taken from, each once, in the order of their turns. */
  get ready(): ReadonlySet<Mailbox> {
    return this.#ready
  }

  /** What waits in all mailboxes. */
  get queue(): { readonly operations: number; readonly bytes: number } {
    let operations = 0
    for (const mailbox of this.#mailboxes.values()) operations += mailbox.operationCount
    return { operations, bytes: this.#admission.bytes }
  }

  /** Nothing waits, nothing is being committed. */
  get isIdle(): boolean {
    for (const mailbox of this.#mailboxes.values()) if (!mailbox.isIdle) return false
    return true
  }

  submit(state: NamespaceState, request: Request, signal: AbortSignal | undefined): void {
    if (this.#failure !== null) {
      request.reject(storeFailed(this.#failure))
      return
    }
    let mailbox = this.#mailboxes.get(state)
    if (mailbox === undefined) {
      const { queueOperationsMax } = this.#limits
      const admitted = (box: Mailbox): void => this.#wake(box)
      const withdrawn = (box: Mailbox): void => this.#withdrawn(box)
      mailbox = new Mailbox(state, this.#admission, queueOperationsMax, admitted, withdrawn)
      this.#mailboxes.set(state, mailbox)
    }
    request.wait(signal, mailbox.onWithdrawn)
    mailbox.add(request)
  }

  isInUse(state: NamespaceState): boolean {
    const mailbox = this.#mailboxes.get(state)
    if (mailbox === undefined) return false
    if (!mailbox.isIdle) return true
    this.#mailboxes.delete(state)
    return false
  }

  fail(error: AgentStateError): void {
    this.#failure ??= error
    for (const mailbox of this.#mailboxes.values()) this.#refuse(mailbox)
  }

  /**
   * At least one request if there is one whose heads are known; loads what is missing for the others. What was put back is
   * taken without what came since: whoever writes again and again what is refused would keep the others from getting through.
   */
  take(mailbox: Mailbox, operationsMax: number, bytesMax: number): Request[] {
    const taken: Request[] = []
    this.#ready.delete(mailbox)
    const isAgain = mailbox.againCount > 0
    let operations = 0
    let bytes = 0
    for (let next = mailbox.peekAt(0); next !== undefined; next = mailbox.peekAt(0)) {
      if (next.withdrawn) {
        unpin(mailbox.take()!)
        continue
      }
      const full = operations + next.operationCount > operationsMax || bytes + next.bytes > bytesMax
      if (taken.length > 0 && (full || (isAgain && mailbox.againCount === 0))) break
      const error = takeLoadError(next)
      if (error !== null) {
        mailbox.take()
        next.reject(error)
        unpin(next)
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
    if (taken.length > 0) {
      mailbox.namespace.beginCommit()
      this.#counts.queueWaitMs.record(performance.now() - mailbox.readySinceMs)
    }
    return taken
  }

  /** The requests that were taken are answered, or to be taken anew; the mailbox gets its next turn. */
  giveBack(mailbox: Mailbox, again: readonly Request[]): void {
    mailbox.putBack(again)
    mailbox.namespace.endCommit()
    this.#refuse(mailbox)
    this.#wake(mailbox)
    this.#onChange()
  }

  /** Lets in what waits for room, where there is some now. */
  admitWaiting(): void {
    if (this.#admission.waiting.size > 0) this.#admission.admitWaiting()
  }

  /** What was withdrawn leaves when it comes to the front; it may have been all that there was. */
  #withdrawn(mailbox: Mailbox): void {
    this.admitWaiting()
    this.#wake(mailbox)
  }

  #wake(mailbox: Mailbox): void {
    if (mailbox.namespace.isCommitting || mailbox.loading || mailbox.insideCount === 0) return
    if (!this.#ready.has(mailbox)) {
      mailbox.readySinceMs = performance.now()
      this.#ready.add(mailbox)
    }
    this.#onChange()
  }

  /** True if all that the request's plan needs is in memory; the keys stay there until the request is answered. */
  #prepare(namespace: NamespaceState, request: Request): boolean {
    if (namespace.load.status !== 'loaded') return false
    if (request.body.kind !== 'change') return true
    if (request.states.length === 0) {
      let states: KeyState[] | null = null
      for (const { key } of request.body.operations) {
        const state = namespace.key(key)
        state.pins++
        this.#namespaces.account(state)
        states = appended(states, state)
      }
      request.states = states ?? NO_STATES
    }
    for (const { head } of request.states) if (head === undefined) return false
    return true
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
        unpin(request)
        if (!request.withdrawn) request.reject(error)
      }
    }
    mailbox.loading = false
    this.#refuse(mailbox)
    // One that was refused leaves room.
    this.admitWaiting()
    this.#wake(mailbox)
    this.#onChange()
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

  /** Once the store has failed: nobody waits any more. What is being committed or looked up is refused when it comes back. */
  #refuse(mailbox: Mailbox): void {
    if (this.#failure === null || mailbox.namespace.isCommitting || mailbox.loading) return
    do {
      for (let request = mailbox.take(); request !== undefined; request = mailbox.take()) {
        if (!request.withdrawn) request.reject(storeFailed(this.#failure))
        unpin(request)
      }
    } while (mailbox.admitOne())
    this.#admission.waiting.delete(mailbox)
    this.#ready.delete(mailbox)
  }
}

/** The request was answered, or left: its keys may go from memory. */
export function unpin(request: Request): void {
  for (const state of request.states) state.pins--
  request.states = NO_STATES
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
