/** What callers ask the coordinator to change, as it waits in a mailbox. */
import type { ConflictPolicy, ConflictRule, DeleteResult, Durability, WriteResult, Writer } from '../api.js'
import { onAbort } from '../abort.js'
import type { KeyState } from './namespace-state.js'
import type { SeenKeys } from './seen-keys.js'

export interface RequestedWrite {
  readonly kind: 'write'
  readonly key: string
  /** Nobody changes these bytes any more. */
  readonly value: Uint8Array
  readonly size: number
  readonly ifRevision: number | null | undefined
  /** What the writer saw of the key when it asked; undefined: nothing. */
  readonly seen: number | null | undefined
}

export interface RequestedDelete {
  readonly kind: 'delete'
  readonly key: string
  readonly ifRevision: number | null | undefined
  readonly seen: number | null | undefined
}

export type RequestedOperation = RequestedWrite | RequestedDelete

/** How a change is to be judged and acknowledged. */
export interface ChangeTerms {
  readonly writer: Writer | null
  readonly conflictPolicy: ConflictPolicy
  readonly detect: ConflictRule
  readonly durability: Durability
  readonly repairMetadata: boolean
}

export interface ChangeRequest {
  readonly kind: 'change'
  readonly operations: readonly RequestedOperation[]
  /** One operation asked for by itself: it is answered with its result, and errors carry no index. */
  readonly single: boolean
  readonly terms: ChangeTerms
}

export type RequestBody = ChangeRequest | { readonly kind: 'create' } | { readonly kind: 'remove' }

export type OperationResult = WriteResult | DeleteResult

/** What a request is answered with: result or results of a change; for create and remove, whether there was a change. */
export type RequestAnswer = OperationResult | readonly OperationResult[] | boolean

export const NO_STATES: readonly KeyState[] = []

/**
 * A request in a mailbox. Until it is taken into a plan it can be withdrawn; afterwards its true outcome is delivered.
 */
export class Request {
  readonly body: RequestBody
  readonly bytes: number
  /** Where successful changes are noted as seen. */
  readonly seen: SeenKeys | null
  /** Key states of the operations, in their order; set when the request is admitted. */
  states: readonly KeyState[] = NO_STATES
  withdrawn = false
  readonly #resolve: (answer: RequestAnswer) => void
  readonly #reject: (error: unknown) => void
  #detach: (() => void) | null = null
  #onWithdrawn: (() => void) | null = null

  constructor(
    body: RequestBody,
    bytes: number,
    seen: SeenKeys | null,
    resolve: (answer: RequestAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.body = body
    this.bytes = bytes
    this.seen = seen
    this.#resolve = resolve
    this.#reject = reject
  }

  get operationCount(): number {
    return this.body.kind === 'change' ? this.body.operations.length : 1
  }

  /** Until `seal` the request can be withdrawn: by a call, or by the signal when it aborts. */
  wait(signal: AbortSignal | undefined, onWithdrawn: () => void): void {
    this.#onWithdrawn = onWithdrawn
    if (signal !== undefined) this.#detach = onAbort(signal, () => this.withdraw(signal.reason))
  }

  /** Rejects with the reason and changes nothing, unless it is too late for that. */
  withdraw(reason: unknown): void {
    const onWithdrawn = this.#onWithdrawn
    if (onWithdrawn === null) return
    this.withdrawn = true
    this.reject(reason)
    onWithdrawn()
  }

  /** From here on the request can't be withdrawn. */
  seal(): void {
    this.#onWithdrawn = null
    this.#detach?.()
    this.#detach = null
  }

  resolve(answer: RequestAnswer): void {
    this.#resolve(answer)
  }

  reject(error: unknown): void {
    this.seal()
    this.#reject(error)
  }
}
