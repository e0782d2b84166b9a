/**
 * InFlight owns what one connection has under way, from the arrival of a call until its answer was taken. A connection
 * that exceeds its credits is cut off: the library's own side waits at the bound instead (I9).
 */
import type { Request } from '../coordinator/request.js'
import type { Limits } from '../limits.js'
import { IdTable } from './id-table.js'
import type { Load, Outbox } from './outbox.js'

/** More was asked for than a connection may have under way. */
export class TooMuchInFlight extends RangeError {}

interface Call {
  readonly id: number
  readonly operations: number
  readonly bytes: number
  request: Request | null
  readonly isQuestion: boolean
}

export class InFlight {
  readonly #limits: Limits
  readonly #outbox: Outbox
  readonly #calls = new IdTable<Call>()
  #operations = 0
  #bytes = 0
  #isQuestioned = false

  constructor(limits: Limits, outbox: Outbox) {
    this.#limits = limits
    this.#outbox = outbox
  }

  get size(): number {
    return this.#calls.size
  }

  ids(): number[] {
    return this.#calls.entries().map(({ id }) => id)
  }

  /** One call may be larger than the bounds, if it is alone. */
  begin(id: number, operations: number, bytes: number): void {
    const { connectionOperationsMax, connectionBytesMax } = this.#limits
    const tooMany = this.#operations > 0 && this.#operations + operations > connectionOperationsMax
    const tooMuch = this.#bytes > 0 && this.#bytes + bytes > connectionBytesMax
    if ((tooMany && operations > 0) || (tooMuch && bytes > 0)) {
      throw new TooMuchInFlight('the connection has more under way than its credits allow')
    }
    this.#operations += operations
    this.#bytes += bytes
    this.#calls.add({ id, operations, bytes, request: null, isQuestion: false })
  }

  /** The question how the store is waits for no credit: it is allowed besides, one until its answer was taken. */
  beginQuestion(id: number): void {
    if (this.#isQuestioned) throw new TooMuchInFlight('the connection has asked how the store is already')
    this.#isQuestioned = true
    this.#calls.add({ id, operations: 0, bytes: 0, request: null, isQuestion: true })
  }

  setRequest(id: number, request: Request): void {
    const call = this.#calls.get(id)
    if (call !== undefined) call.request = request
  }

  request(id: number): Request | null {
    return this.#calls.get(id)?.request ?? null
  }

  /** The call's answer is in the outbox: its credits come back when that is taken. False if it was answered before. */
  answered(id: number): boolean {
    const call = this.#calls.delete(id)
    if (call === undefined) return false
    this.#outbox.load.operations += call.operations
    this.#outbox.load.callBytes += call.bytes
    if (call.isQuestion) this.#outbox.load.isQuestion = true
    return true
  }

  taken({ operations, callBytes, isQuestion }: Load): void {
    if (isQuestion) this.#isQuestioned = false
    this.#operations -= operations
    this.#bytes -= callBytes
  }

  /** Withdraws every request that is in no commit group yet. */
  withdrawAll(reason: unknown): void {
    for (const { request } of this.#calls.entries()) request?.withdraw(reason)
  }
}
