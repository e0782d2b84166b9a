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

  /** Begins an opening: allocates its epoch revision, and says durably that the store is in use. */
  begin(position: JournalPosition): Promise<void> {
    this.#revision++
    this.#state = { clean: false, epoch: this.#revision, ceiling: this.#revision + BLOCK, position }
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

  /** Says durably from where the journal is needed. */
  advance(position: JournalPosition): Promise<void> {
    this.#state = { ...this.#state, position }
    return this.#write()
  }

  /** Says durably that the journal is not needed, or from where it is. */
  async end(position: JournalPosition, clean: boolean): Promise<void> {
    this.#state = { ...this.#state, clean, position }
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
