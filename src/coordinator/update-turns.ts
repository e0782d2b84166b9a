/**
 * UpdateTurns owns who may run an `update` of a key: one at a time, in the order of the calls. The function of an update
 * may start updates of other keys; one that could never get its turn, because it waits for itself in the end, is refused
 * instead of waiting for ever (I11).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { orAborted } from '../abort.js'
import { Queue } from './queue.js'

/** One update that has its turn or waits for it. */
export class Turn {
  readonly key: string
  /** The update in whose function this one was started. */
  readonly parent: Turn | null
  /** Updates started in this one's function that have not ended. */
  readonly children = new Set<Turn>()
  isWaiting = false

  constructor(key: string, parent: Turn | null) {
    this.key = key
    this.parent = parent
  }
}

interface Waiter {
  readonly turn: Turn
  start(): void
  withdrawn: boolean
}

interface Line {
  holder: Turn
  readonly waiters: Queue<Waiter>
}

export class UpdateTurns {
  readonly #lines = new Map<string, Line>()
  readonly #current = new AsyncLocalStorage<Turn>()

  /** Runs `fn` when it is the key's turn. `identity` is the same for the same key only. */
  async run<T>(
    identity: string,
    signals: readonly (AbortSignal | undefined)[],
    fn: () => Promise<T>,
  ): Promise<T> {
    const parent = this.#current.getStore() ?? null
    const turn = new Turn(identity, parent)
    parent?.children.add(turn)
    try {
      await this.#enter(turn, signals)
      try {
        return await this.#current.run(turn, fn)
      } finally {
        this.#leave(turn)
      }
    } finally {
      parent?.children.delete(turn)
    }
  }

  #enter(turn: Turn, signals: readonly (AbortSignal | undefined)[]): Promise<void> | void {
    const line = this.#lines.get(turn.key)
    if (line === undefined) {
      this.#lines.set(turn.key, { holder: turn, waiters: new Queue() })
      return
    }
    if (this.#waitsFor(line.holder, turn.parent)) {
      throw new TypeError(
        turn.parent !== null && turn.parent.key === turn.key
          ? 'update: the function of an update must not update the same key'
          : 'update: these nested updates wait for each other',
      )
    }
    let start = (): void => {}
    const turnCame = new Promise<void>((resolve) => (start = resolve))
    const waiter: Waiter = { turn, withdrawn: false, start }
    turn.isWaiting = true
    line.waiters.push(waiter)
    return orAborted(turnCame, ...signals).catch((reason: unknown) => {
      waiter.withdrawn = true
      // It may have come in the same moment: then it is passed on.
      this.#leave(turn)
      throw reason
    })
  }

  #leave(turn: Turn): void {
    const line = this.#lines.get(turn.key)
    if (line === undefined || line.holder !== turn) return
    for (let next = line.waiters.shift(); next !== undefined; next = line.waiters.shift()) {
      if (next.withdrawn) continue
      line.holder = next.turn
      next.turn.isWaiting = false
      next.start()
      return
    }
    this.#lines.delete(turn.key)
  }

  /** Whether `holder` can't finish before one of the turns that enclose the asker does. */
  #waitsFor(holder: Turn, asker: Turn | null): boolean {
    if (asker === null) return false
    const enclosing = new Set<Turn>()
    for (let turn: Turn | null = asker; turn !== null; turn = turn.parent) enclosing.add(turn)
    const looked = new Set<Turn>()
    const open = [holder]
    for (let turn = open.pop(); turn !== undefined; turn = open.pop()) {
      if (enclosing.has(turn)) return true
      if (looked.has(turn)) continue
      looked.add(turn)
      for (const child of turn.children) {
        const line = child.isWaiting ? this.#lines.get(child.key) : undefined
        open.push(line?.holder ?? child)
      }
    }
    return false
  }
}
