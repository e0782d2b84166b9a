/**
 * UpdateTurns owns who may run an `update` of a key: one at a time, in the order of the calls. The function of an update
 * may start updates of other keys; one that could never get its turn, because it waits for itself in the end, is refused
 * instead of waiting for ever (I11).
 *
 * `run` is for functions of this thread, which know the update that they are part of by their asynchronous context. For
 * functions of other threads `enter` and `leave` hold the turn, and the update around is named.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
import type { Writer } from '../api.js'
import { orAborted } from '../abort.js'
import { KeepAlive } from '../keep-alive.js'

/** Who asks for a turn, for those who wonder who has it. */
export interface TurnAsker {
  readonly writer: Writer | null
  /** The function of the update runs in another thread or process. */
  readonly isConnected: boolean
}

const NOBODY: TurnAsker = { writer: null, isConnected: false }

/** A turn that is held, and how many wait for it. */
export interface HeldTurn {
  readonly turn: Turn
  readonly heldMs: number
  readonly waiting: number
}

/** One update that has its turn or waits for it. */
export class Turn {
  readonly key: string
  /** The update in whose function this one was started. */
  readonly parent: Turn | null
  /** Updates started in this one's function that have not ended. */
  readonly children = new Set<Turn>()
  /** Called when the turn has come. */
  readonly start: () => void
  readonly asker: TurnAsker
  state: 'waiting' | 'held' | 'over' = 'waiting'
  /** By the clock of the turns, once it is held. */
  heldSinceMs = 0

  constructor(key: string, parent: Turn | null, start: () => void, asker: TurnAsker) {
    this.key = key
    this.parent = parent
    this.start = start
    this.asker = asker
  }
}

interface Line {
  holder: Turn
  readonly waiting: Set<Turn>
}

export class UpdateTurns {
  readonly #lines = new Map<string, Line>()
  readonly #current = new AsyncLocalStorage<Turn>()
  readonly #keepAlive = new KeepAlive()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Keys of which an update has its turn. */
  get size(): number {
    return this.#lines.size
  }

  /** The turns that are held: first those for which others wait, and of these and the rest the longest held first. */
  held(): HeldTurn[] {
    const nowMs = this.#now()
    const held = [...this.#lines.values()].map(({ holder, waiting }) => ({
      turn: holder,
      heldMs: nowMs - holder.heldSinceMs,
      waiting: waiting.size,
    }))
    return held.sort((a, b) => Number(b.waiting > 0) - Number(a.waiting > 0) || b.heldMs - a.heldMs)
  }

  /** Runs `fn` when it is the key's turn. `identity` is the same for the same key only. */
  async run<T>(
    identity: string,
    signals: readonly (AbortSignal | undefined)[],
    fn: () => Promise<T>,
    asker: TurnAsker = NOBODY,
  ): Promise<T> {
    let start = (): void => {}
    const turnCame = new Promise<void>((resolve) => (start = resolve))
    const turn = this.enter(identity, this.#current.getStore() ?? null, start, asker)
    try {
      if (turn.state === 'waiting') {
        const waiting = orAborted(turnCame, ...signals)
        // Those before it that run here keep the process alive themselves, if anything is to come of them.
        await (this.#waitsForOthers(turn) ? this.#keepAlive.while(waiting) : waiting)
      }
      return await this.#current.run(turn, fn)
    } finally {
      this.leave(turn)
    }
  }

  /** Puts an update in line, and calls `start` when its turn has come, which may be at once. */
  enter(key: string, parent: Turn | null, start: () => void, asker: TurnAsker = NOBODY): Turn {
    const around = goingOn(parent)
    const turn = new Turn(key, around, start, asker)
    const line = this.#lines.get(key)
    if (line !== undefined && this.#waitsFor(line.holder, around)) {
      throw new TypeError(
        around !== null && around.key === key
          ? 'update: the function of an update must not update the same key'
          : 'update: these nested updates wait for each other',
      )
    }
    around?.children.add(turn)
    if (line === undefined) {
      this.#lines.set(key, { holder: turn, waiting: new Set() })
      this.#begin(turn)
    } else {
      line.waiting.add(turn)
    }
    return turn
  }

  /** Ends the turn, or the waiting for it. The next in line has its turn. */
  leave(turn: Turn): void {
    if (turn.state === 'over') return
    turn.state = 'over'
    turn.parent?.children.delete(turn)
    const line = this.#lines.get(turn.key)
    if (line === undefined || line.waiting.delete(turn) || line.holder !== turn) return
    const [next] = line.waiting
    if (next === undefined) {
      this.#lines.delete(turn.key)
      return
    }
    line.waiting.delete(next)
    line.holder = next
    this.#begin(next)
  }

  #begin(turn: Turn): void {
    turn.state = 'held'
    turn.heldSinceMs = this.#now()
    turn.start()
  }

  /** Whether somebody in another thread or process is before it. */
  #waitsForOthers(turn: Turn): boolean {
    const line = this.#lines.get(turn.key)!
    if (line.holder.asker.isConnected) return true
    for (const before of line.waiting) {
      if (before === turn) return false
      if (before.asker.isConnected) return true
    }
    return false
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
        const line = child.state === 'waiting' ? this.#lines.get(child.key) : undefined
        open.push(line?.holder ?? child)
      }
    }
    return false
  }
}

/** What was started in an update and outlived it is part of the update around that, if there is one. */
function goingOn(turn: Turn | null): Turn | null {
  let around = turn
  while (around?.state === 'over') around = around.parent
  return around
}
