/**
 * Mailbox owns the requests of one namespace, in the order in which they were made (I3), from the call until they are
 * taken into a plan. It holds at most so many operations; what comes then waits outside, in order, still withdrawable.
 * The store-wide bound on bytes is kept by `Admission`, which all mailboxes share (I9).
 */
import type { NamespaceState } from './namespace-state.js'
import { Queue } from '../queue.js'
import type { Request } from './request.js'

const PURGE_AT = 4

/** How much is admitted in the whole store, and who waits for that. */
export class Admission {
  readonly bytesMax: number
  bytes = 0
  /** Mailboxes with requests outside, in the order in which they get room. */
  readonly waiting = new Set<Mailbox>()
  /** Somebody waits for bytes: others get none before him, or small requests would keep a large one out for ever (I3). */
  #isShort = false

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Something is always let in, so that no request can wait for ever. Whoever is refused here is to wait. */
  hasRoom(bytes: number): boolean {
    if (bytes === 0) return true
    if (!this.#isShort && (this.bytes === 0 || this.bytes + bytes <= this.bytesMax)) return true
    this.#isShort = true
    return false
  }

  /** Lets waiting requests in as far as there is room: one of a mailbox, then it is the next one's turn. */
  admitWaiting(): void {
    this.#isShort = false
    for (const mailbox of this.waiting) {
      const admitted = mailbox.admitOne()
      if (!admitted && mailbox.outsideCount > 0) continue
      this.waiting.delete(mailbox)
      if (mailbox.outsideCount > 0) this.waiting.add(mailbox)
    }
  }
}

export class Mailbox {
  readonly namespace: NamespaceState
  /** Heads that the queued requests need are being looked up. */
  loading = false
  /** Since when there is something to take, in milliseconds of a monotonic clock. */
  readySinceMs = 0
  readonly #admission: Admission
  readonly #operationsMax: number
  readonly #onAdmitted: (mailbox: Mailbox, request: Request) => void
  /** A request that waits here has been withdrawn. */
  readonly onWithdrawn: () => void
  readonly #inside = new Queue<Request>()
  readonly #outside = new Queue<Request>()
  #operations = 0
  #againCount = 0
  /** So many requests outside are looked through for those that were withdrawn. */
  #purgeAt = PURGE_AT

  constructor(
    namespace: NamespaceState,
    admission: Admission,
    operationsMax: number,
    onAdmitted: (mailbox: Mailbox, request: Request) => void,
    onWithdrawn: (mailbox: Mailbox) => void,
  ) {
    this.namespace = namespace
    this.#admission = admission
    this.#operationsMax = operationsMax
    this.#onAdmitted = onAdmitted
    this.onWithdrawn = () => onWithdrawn(this)
  }

  get insideCount(): number {
    return this.#inside.length
  }

  /** So many of the next requests were taken before, and are to be planned anew without what came since (`putBack`). */
  get againCount(): number {
    return this.#againCount
  }

  /** Operations that wait, those outside too. */
  get operationCount(): number {
    return this.#operations + this.#outside.length
  }

  get outsideCount(): number {
    return this.#outside.length
  }

  get isIdle(): boolean {
    if (this.namespace.isCommitting || this.loading) return false
    return this.#inside.length === 0 && this.#outside.length === 0
  }

  add(request: Request): void {
    if (this.#outside.length === 0 && this.#hasRoom(request)) {
      this.#admit(request)
    } else {
      this.#outside.push(request)
      this.#admission.waiting.add(this)
      if (this.#outside.length >= this.#purgeAt) this.#purge()
    }
  }

  /** Admits the next waiting request if there is room for it. */
  admitOne(): boolean {
    while (this.#outside.peek()?.withdrawn === true) this.#outside.shift()
    const request = this.#outside.peek()
    if (request === undefined || !this.#hasRoom(request)) return false
    this.#outside.shift()
    this.#admit(request)
    return true
  }

  peekAt(index: number): Request | undefined {
    return this.#inside.at(index)
  }

  /** The next request, from outside only where there is none inside: then there was no room for it. */
  take(): Request | undefined {
    const request = this.#inside.shift()
    if (request === undefined) return this.#outside.shift()
    if (this.#againCount > 0) this.#againCount--
    this.#leave(request)
    return request
  }

  /** Puts requests back to the front that were taken but have to be planned anew. */
  putBack(requests: readonly Request[]): void {
    if (requests.length === 0) return
    this.#againCount += requests.length
    for (const request of requests.toReversed()) {
      this.#inside.unshift(request)
      this.#enter(request)
    }
  }

  #hasRoom(request: Request): boolean {
    const operations = this.#operations + request.operationCount
    return (
      (this.#operations === 0 || operations <= this.#operationsMax) && this.#admission.hasRoom(request.bytes)
    )
  }

  #admit(request: Request): void {
    this.#inside.push(request)
    this.#enter(request)
    this.#onAdmitted(this, request)
  }

  /** Those who gave up while others still wait keep no memory (I9). */
  #purge(): void {
    this.#outside.keep((request) => !request.withdrawn)
    this.#purgeAt = Math.max(PURGE_AT, this.#outside.length * 2)
  }

  #enter(request: Request): void {
    this.#operations += request.operationCount
    this.#admission.bytes += request.bytes
  }

  #leave(request: Request): void {
    this.#operations -= request.operationCount
    this.#admission.bytes -= request.bytes
  }
}
