/**
 * Recording owns what happened to a disk, change by change, from a known state on. Any moment of it can be had again: the
 * state that a killed process leaves, or those that a power cut may.
 *
 * A worker's task is carried out at once, but its answer comes later. What others did in between could have happened while
 * the task was still at work, so at such a moment the last changes of the task may also be missing.
 */
import type { Random } from '../random.js'
import type { DiskOp, DiskState } from './disk-state.js'

interface Recorded {
  readonly op: DiskOp
  readonly path: string
  /** The worker's task that it was part of; null: it was made in the store's own thread. */
  readonly task: number | null
}

export class Recording {
  readonly initial: DiskState
  readonly #changes: Recorded[] = []
  /** Of every task that was answered: how many changes had been made by then. */
  readonly #answered = new Map<number, number>()

  constructor(initial: DiskState) {
    this.initial = initial
  }

  /** Changes so far; also the name of this moment. */
  get length(): number {
    return this.#changes.length
  }

  add(recorded: Recorded): void {
    this.#changes.push(recorded)
  }

  /** Each change in a word or two (see `placeOf`), with the thread that made it. */
  steps(nameOf: (path: string) => string): string[] {
    return this.#changes.map(({ op, path, task }) => {
      const kind = op.kind === 'sync' && op.dataOnly ? 'datasync' : op.kind
      return `${task === null ? 'main' : 'worker'}: ${kind} ${nameOf(path)}`
    })
  }

  answered(task: number): void {
    this.#answered.set(task, this.length)
  }

  /** As the running system saw the disk at that moment, what is uncertain included. */
  stateAt(moment: number, random: Random): DiskState {
    const state = this.initial.copy()
    const left = this.#laggards(moment, random)
    for (let index = 0; index < moment; index++) {
      const { op, task } = this.#changes[index]!
      const allowance = task === null ? undefined : left.get(task)
      if (allowance === 0) continue
      if (allowance !== undefined) left.set(task!, allowance - 1)
      state.apply(op)
    }
    return state
  }

  describe(moment: number): string {
    const { op, task, path } = this.#changes[moment - 1] ?? { op: null, task: null, path: '' }
    if (op === null) return 'at the very beginning'
    const { kind, ...fields } = op
    const shown = Object.entries(fields)
      .filter(([name]) => name !== 'covers')
      .map(([name, value]) => {
        return `${name} ${Buffer.isBuffer(value) ? `${value.length} bytes` : String(value)}`
      })
    return `after change ${moment} (${kind} of ${path}, ${shown.join(', ')}${task === null ? '' : `, task ${task}`})`
  }

  /** For each task that was not answered at that moment: how many of its changes had been made, drawn at random. */
  #laggards(moment: number, random: Random): Map<number, number> {
    const made = new Map<number, number>()
    if (random.chance(0.6)) return made
    for (let index = 0; index < moment; index++) {
      const { task } = this.#changes[index]!
      // Who was answered at this very moment may have told others already.
      if (task === null || (this.#answered.get(task) ?? Infinity) <= moment) continue
      made.set(task, (made.get(task) ?? 0) + 1)
    }
    for (const [task, count] of made) made.set(task, random.below(count + 1))
    return made
  }
}
