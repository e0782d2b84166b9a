/**
 * Upkeep owns what is done when nothing else is: after a while without appends a checkpoint says where the journal ends, and
 * whenever operations have left the backlog, or the journal needs a segment and has old ones, it gives segments back.
 *
 * - A frame that is the last one can't be told from a torn append when it is damaged, and nobody misses one that was cut
 *   off, until a checkpoint has said how far the journal went. It also says what of it is not needed any more.
 * - Stuck operations that alone hold old segments back are carried to the end.
 */
import type { Backlog } from './backlog.js'
import type { Carrier } from './carrier.js'
import type { Checkpointer } from './checkpointer.js'
import type { GroupCommit } from './group-commit.js'
import type { Journal } from './journal.js'
import { SEGMENT_BYTES } from './segment.js'

const IDLE_MS = 50
/** What is stuck is carried when that gives back so much more than it writes. */
const CARRY_GAIN_MIN = SEGMENT_BYTES / 2

export interface UpkeepOptions {
  readonly journal: Journal
  readonly backlog: Backlog
  readonly checkpointer: Checkpointer
  readonly commits: GroupCommit
  readonly carrier: Carrier
  onFailure(cause: unknown): void
}

export class Upkeep {
  readonly #options: UpkeepOptions
  #timer: NodeJS.Timeout | null = null
  #work: Promise<void> = Promise.resolve()
  #recycleAsked = false
  #stopped = false

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  /**
   * The journal was appended to. Repeated writes of the same keys leave segments behind them that nobody holds, before the
   * tree has any of it: these are filled again, instead of more and more new ones.
   */
  appended(): void {
    const { journal } = this.#options
    this.#wait()
    if (!journal.hasSpare && journal.hasUnheld) this.#giveBack()
  }

  /** Operations have left the backlog, or are known to be stuck. */
  progressed(): void {
    const { backlog, journal } = this.#options
    if (backlog.count === 0) journal.noteDrained()
    if (this.#stopped) return
    this.#wait()
    this.#giveBack()
  }

  #giveBack(): void {
    const { backlog, carrier } = this.#options
    if (this.#recycleAsked) return
    this.#recycleAsked = true
    this.#do(async () => {
      this.#recycleAsked = false
      await this.recycle()
      if (backlog.count > 0 && backlog.count === backlog.stuckCount && this.#isWorthCarrying) {
        await carrier.carry()
        // Where that has failed, nothing is written any more.
        if (!this.#stopped) await this.recycle()
      }
    })
  }

  /** Carrying gives back clearly more than it writes: otherwise what is stuck would be written again and again. */
  get #isWorthCarrying(): boolean {
    const { backlog, journal } = this.#options
    return journal.oldestHeld !== null && journal.backlogBytes > 2 * backlog.bytes + CARRY_GAIN_MIN
  }

  async recycle(): Promise<void> {
    const { journal, checkpointer } = this.#options
    await journal.recycle(() => checkpointer.advance(journal))
  }

  /** Ends the timers; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#work
  }

  #wait(): void {
    if (this.#stopped) return
    if (this.#timer !== null) {
      this.#timer.refresh()
      return
    }
    this.#timer = setTimeout(() => this.#idle(), IDLE_MS)
    this.#timer.unref()
  }

  #idle(): void {
    const { journal, checkpointer, commits } = this.#options
    if (this.#stopped || !commits.isIdle) return
    const isSaid =
      checkpointer.position.sequence === journal.oldestNeeded.sequence &&
      checkpointer.reached === journal.end.sequence
    if (!isSaid) this.#do(() => checkpointer.advance(journal))
  }

  /** One piece of work after the other, until it is stopped; a failure is the store's. */
  #do(work: () => Promise<unknown>): void {
    const act = async (): Promise<void> => {
      if (!this.#stopped) await work()
    }
    this.#work = this.#work.then(act).then(
      () => {},
      (error: unknown) => this.#options.onFailure(error),
    )
  }
}
