/**
 * Checkpointer owns what the checkpoint says, and the revisions: it hands them out and sees to it that none is handed
 * out that a later opening could hand out again.
 *
 * - The ceiling is raised in blocks ahead of use; an unclean opening starts above it. `ensureCeiling` is waited for
 *   before a frame with the revision is written.
 * - Changes of the checkpoint are made here first and written whole, so a later write never takes an earlier one back.
 */
import type { CheckpointFile, CheckpointState } from './checkpoint.js'
import type { JournalPosition } from './tasks.js'

/** What a checkpoint says of the journal. */
export interface JournalExtent {
  /** From there on it is needed. */
  readonly oldestNeeded: JournalPosition
  /** Behind its last durable frame. */
  readonly end: JournalPosition
}

const BLOCK = 4 * 1024 * 1024

export class Checkpointer {
  readonly #file: CheckpointFile
  #state: CheckpointState
  #revision: number
  #durableCeiling: number
  #raising: Promise<void> | null = null

  /** None above the ceiling was ever assigned. */
  constructor(file: CheckpointFile) {
    this.#file = file
    this.#state = file.state
    this.#durableCeiling = file.state.ceiling
    this.#revision = file.state.ceiling
  }

  get revision(): number {
    return this.#revision
  }

  get epoch(): number {
    return this.#state.epoch
  }

  /** No revision of this store is above it. */
  get ceiling(): number {
    return this.#state.ceiling
  }

  get position(): JournalPosition {
    return this.#state.position
  }

  /** Sequence that the journal is known to have reached. */
  get reached(): number {
    return this.#state.reached
  }

  /** Begins an opening: allocates its epoch revision, and says durably that the store is in use. */
  begin(journal: JournalExtent): Promise<void> {
    this.#revision++
    const ceiling = this.#revision + BLOCK
    this.#state = { clean: false, epoch: this.#revision, ceiling, ...stateOf(journal) }
    return this.#write()
  }

  /** The first of so many revisions. */
  take(count: number): number {
    const first = this.#revision + 1
    this.#revision += count
    if (this.#state.ceiling - this.#revision < BLOCK / 2) this.#raise()
    return first
  }

  /** Null if the revision may be written; otherwise a promise to wait for. */
  ensureCeiling(revision: number): Promise<void> | null {
    if (revision <= this.#durableCeiling) return null
    this.#raise()
    return this.#raising
  }

  /** Says durably from where the journal is needed, and how far it goes. */
  advance(journal: JournalExtent): Promise<void> {
    this.#state = { ...this.#state, ...stateOf(journal) }
    return this.#write()
  }

  /** Says durably that the journal is not needed, or from where it is. */
  async end(journal: JournalExtent, clean: boolean): Promise<void> {
    this.#state = { ...this.#state, clean, ...stateOf(journal) }
    if (clean) this.#state = { ...this.#state, ceiling: this.#revision }
    await this.#write()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #raise(): void {
    if (this.#raising !== null && this.#revision <= this.#state.ceiling) return
    this.#state = { ...this.#state, ceiling: this.#revision + BLOCK }
    const raising = this.#write().finally(() => {
      if (this.#raising === raising) this.#raising = null
    })
    this.#raising = raising
    // Whoever needs the ceiling learns of a failure by `ensureCeiling`.
    raising.catch(() => {})
  }

  async #write(): Promise<void> {
    const state = this.#state
    await this.#file.write(state)
    if (state.ceiling > this.#durableCeiling) this.#durableCeiling = state.ceiling
  }
}

function stateOf({ oldestNeeded, end }: JournalExtent): Pick<CheckpointState, 'position' | 'reached'> {
  return { position: oldestNeeded, reached: end.sequence }
}
