/**
 * ClientCalls owns what callers of this thread have asked the host for, until it is answered. A connection has so many
 * credits; calls for which there are none wait here (I9).
 *
 * - I3: calls of a namespace wait in their order, and namespaces take turns: one that floods does not hold up the others.
 * - A call that was not sent can be given up at once. A change that was sent is asked to be withdrawn, and its true outcome
 *   delivered; the answers to other calls are let pass.
 * - I11: when the connection is lost, every call is answered: `DISCONNECTED` where nothing was changed for sure,
 *   `OUTCOME_UNKNOWN` for a change that was posted and not answered.
 */
import { onAbort } from '../abort.js'
import type { RequestedOperation } from '../requests.js'
import type { SeenKeys } from '../seen-keys.js'
import { stateError } from '../errors.js'
import type { Limits } from '../limits.js'
import { IdTable } from './id-table.js'
import { QueueInTurn } from './queue-in-turn.js'

/** What a call is. */
export interface Asked {
  /** Credits that it takes. */
  readonly operations: number
  readonly bytes: number
  readonly kind: 'change' | 'turn' | 'other'
  /** In whose line it waits. */
  readonly namespace?: string
  /** Of a change: what its results are for. */
  readonly change?: {
    readonly operations: readonly RequestedOperation[]
    readonly single: boolean
    readonly seen: SeenKeys | null
  }
  /** Puts it into the next batch. */
  write(id: number): void
}

export interface Call {
  asked: Asked
  state: 'waiting' | 'sent' | 'given-up'
  id: number
  /** Why its caller has given it up. */
  reason: unknown
  detach: () => void
  resolve(answer: unknown): void
  reject(error: unknown): void
}

const PURGE_AT = 4

export class ClientCalls {
  readonly #limits: Limits
  /** Tells the host that a call was given up. */
  readonly #onAbort: (id: number) => void
  /** Whether anything is under way has changed. */
  readonly #onActive: (isActive: boolean) => void
  readonly #sent = new IdTable<Call>()
  readonly #waiting = new QueueInTurn<Call>()
  /** So many calls in line are looked through for those that were given up. */
  #purgeAt = PURGE_AT
  /** Set when the connection is lost. */
  #disconnected: (() => Error) | null = null
  #lastId = 0
  /** The last one that has left this thread. */
  #postedId = 0
  #operations = 0
  #bytes = 0
  readonly #idle: (() => void)[] = []

  constructor(limits: Limits, onAbort: (id: number) => void, onActive: (isActive: boolean) => void) {
    this.#limits = limits
    this.#onAbort = onAbort
    this.#onActive = onActive
  }

  /** Calls in line, given-up ones too as long as they are not forgotten. */
  get waitingCount(): number {
    return this.#waiting.length
  }

  /** Ids grow in the order in which they are sent. */
  nextId(): number {
    return ++this.#lastId
  }

  /** What was written so far is in a message that was posted. */
  posted(): void {
    this.#postedId = this.#lastId
  }

  ask<T>(asked: Asked, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted === true) throw signal.reason
      if (this.#disconnected !== null) throw this.#disconnected()
      const call: Call = {
        asked,
        state: 'waiting',
        id: 0,
        reason: undefined,
        detach: () => {},
        resolve,
        reject,
      }
      if (this.#isIdle) this.#onActive(true)
      if (asked.operations === 0 || (this.#waiting.isEmpty && this.#hasCredits(asked))) this.#send(call)
      else this.#wait(call)
      if (signal !== undefined) call.detach = onAbort(signal, () => this.#giveUp(call, signal.reason))
    })
  }

  /** The call that is answered; undefined if nobody waits for the answer any more. */
  answered(id: number): Call | undefined {
    const call = this.#sent.delete(id)
    if (call === undefined) return undefined
    this.#operations -= call.asked.operations
    this.#bytes -= call.asked.bytes
    call.detach()
    this.#sendWaiting()
    this.#settleIfIdle()
    return call.state === 'given-up' ? undefined : call
  }

  /** The call with an interim answer. */
  find(id: number): Call | undefined {
    return this.#sent.get(id)
  }

  /** Nobody waits for a turn any more. */
  giveUpTurns(reason: unknown): void {
    for (const call of this.#sent.entries()) {
      if (call.asked.kind === 'turn' && call.state === 'sent') this.#giveUp(call, reason)
    }
  }

  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#settleIfIdle()
    })
  }

  /** Rejects everything. `hasAnswered`: the host has answered all that had reached it. */
  lost(hasAnswered: boolean, disconnected: () => Error): void {
    this.#disconnected = disconnected
    const calls = this.#sent.entries()
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) calls.push(next)
    this.#sent.clear()
    this.#operations = 0
    this.#bytes = 0
    for (const call of calls) {
      call.detach()
      if (call.state === 'given-up') continue
      const isPosted = call.state === 'sent' && call.id <= this.#postedId
      const isUnknown = isPosted && call.asked.kind === 'change' && !hasAnswered
      call.reject(isUnknown ? outcomeUnknown(call.asked.namespace, disconnected()) : disconnected())
    }
    this.#settleIfIdle()
  }

  get #isIdle(): boolean {
    return this.#sent.size === 0 && this.#waiting.isEmpty
  }

  /** Something is always let through, so that no call can wait for ever. */
  #hasCredits({ operations, bytes }: Asked): boolean {
    const { connectionOperationsMax, connectionBytesMax } = this.#limits
    return (
      (this.#operations === 0 || this.#operations + operations <= connectionOperationsMax) &&
      (this.#bytes === 0 || bytes === 0 || this.#bytes + bytes <= connectionBytesMax)
    )
  }

  #send(call: Call): void {
    call.state = 'sent'
    call.id = this.nextId()
    this.#operations += call.asked.operations
    this.#bytes += call.asked.bytes
    this.#sent.add(call)
    call.asked.write(call.id)
  }

  /** Those who gave up while others still wait keep no memory (I9). */
  #wait(call: Call): void {
    this.#waiting.push(call.asked.namespace, call)
    if (this.#waiting.length < this.#purgeAt) return
    this.#waiting.keep(({ state }) => state !== 'given-up')
    this.#purgeAt = Math.max(PURGE_AT, this.#waiting.length * 2)
  }

  #sendWaiting(): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (next.state !== 'given-up' && !this.#hasCredits(next.asked)) return
      this.#waiting.shift()
      if (next.state !== 'given-up') this.#send(next)
    }
  }

  #giveUp(call: Call, reason: unknown): void {
    call.reason = reason
    if (call.state === 'sent') {
      if (call.asked.kind !== 'other') this.#onAbort(call.id)
      if (call.asked.kind === 'change') return
    } else {
      // In line it keeps its place for a while, but nothing of what it would have sent.
      call.asked = NOTHING
    }
    call.state = 'given-up'
    call.reject(reason)
    this.#sendWaiting()
    this.#settleIfIdle()
  }

  #settleIfIdle(): void {
    if (!this.#isIdle) return
    this.#onActive(false)
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

const NOTHING: Asked = { operations: 0, bytes: 0, kind: 'other', write: () => {} }

function outcomeUnknown(namespace: string | undefined, cause: Error): Error {
  const message = 'the connection was lost before the change was answered: it may or may not have been made'
  return stateError('OUTCOME_UNKNOWN', message, { namespace, revision: null, cause })
}
