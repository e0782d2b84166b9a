/** What was asked, as it waits in a mailbox. */
import { onAbort } from '../abort.js'
import type { RequestAnswer, RequestBody } from '../requests.js'
import type { SeenKeys } from '../seen-keys.js'
import type { KeyState } from './namespace-state.js'

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
