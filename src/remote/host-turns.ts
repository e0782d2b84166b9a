/**
 * HostTurns owns the turns that the updates of one connection hold or wait for. The functions run on the other side; here
 * is who comes when, so that nested updates that wait for each other are found whatever threads they run in.
 */
import type { Writer } from '../api.js'
import type { Coordinator } from '../coordinator/coordinator.js'
import type { Turn } from '../coordinator/update-turns.js'
import { stateError } from '../errors.js'

export class HostTurns {
  readonly #coordinator: Coordinator
  readonly #turns = new Map<number, Turn>()

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator
  }

  get size(): number {
    return this.#turns.size
  }

  find(id: number): Turn | undefined {
    return this.#turns.get(id)
  }

  /** `came` is called when it is this update's turn. */
  enter(
    id: number,
    namespace: string,
    key: string,
    writer: Writer | null,
    parent: Turn | null,
    came: () => void,
  ): void {
    // Callers wait at the bound on their side, except with updates inside updates: those who hold a turn must come through.
    const max = this.#coordinator.limits.connectionOperationsMax * 2
    if (this.#turns.size >= max) {
      const fields = { limit: 'connectionOperationsMax', max, actual: max + 1 } as const
      throw stateError('LIMIT_EXCEEDED', `a connection may have ${max} updates under way`, fields)
    }
    // When the turn comes at once, that is before it is known here.
    const start = (): void => {
      if (this.#turns.has(id)) came()
    }
    const turn = this.#coordinator.enterTurn(namespace, key, writer, parent, start)
    this.#turns.set(id, turn)
    if (turn.state === 'held') came()
  }

  /** Ends the turn or the waiting for it; tells which it was. */
  leave(id: number): Turn['state'] {
    const turn = this.#turns.get(id)
    if (turn === undefined) return 'over'
    const { state } = turn
    this.#turns.delete(id)
    this.#coordinator.leaveTurn(turn)
    return state
  }

  /** Gives up every turn; names those that were waited for. */
  leaveAll(): number[] {
    return [...this.#turns.keys()].filter((id) => this.leave(id) === 'waiting')
  }
}
