/**
 * Upkeep owns what is done when nothing else is: after a while without appends a checkpoint says where the journal ends, and
 * whenever operations have left the backlog, or the journal needs a segment and has old ones, it gives segments back.
 *
 * - A frame that is the last one can't be told from a torn append when it is damaged, and nobody misses one that was cut
 *   off, until a checkpoint has said how far the journal went. It also says what of it is not needed any more.
 * - Stuck operations that alone hold old segments back are written again at the end, under their revision.
 */
import type { Backlog, Pending, PendingNamespace } from './backlog.js'
import type { Checkpointer } from './checkpointer.js'
import type { FileSystem } from './file-system.js'
import { FrameEncoder, type CarriedRecord } from './frame-encoder.js'
import type { GroupCommit } from './group-commit.js'
import { JournalValues } from './journal-values.js'
import type { Journal } from './journal.js'
import { SEGMENT_BYTES } from './segment.js'
import type { ValueLocation } from './tasks.js'

const IDLE_MS = 50
/** Of records that one frame carries, with their values. */
const CARRY_BYTES_MAX = 4 * 1024 * 1024

export interface UpkeepOptions {
  readonly fs: FileSystem
  readonly journal: Journal
  readonly backlog: Backlog
  readonly checkpointer: Checkpointer
  readonly commits: GroupCommit
  onFailure(cause: unknown): void
}

/** What a record takes besides its value, roughly. */
const CARRY_RECORD_BYTES = 256
const CARRY_GAIN_MIN = SEGMENT_BYTES / 2

type Carried = { readonly namespace: string; readonly pending: Pending | PendingNamespace }

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #encoder = new FrameEncoder()
  #timer: NodeJS.Timeout | null = null
  #work: Promise<void> = Promise.resolve()
  #recycleAsked = false
  #unreadable: string | null = null
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
    const { backlog } = this.#options
    if (this.#recycleAsked) return
    this.#recycleAsked = true
    this.#do(async () => {
      this.#recycleAsked = false
      await this.recycle()
      if (backlog.count > 0 && backlog.count === backlog.stuckCount && this.#isWorthCarrying) {
        await this.carry()
        await this.recycle()
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

  /** The segment in which something could not be read, when everything was last written again; null: all was. */
  get unreadable(): string | null {
    return this.#unreadable
  }

  /** Writes everything in the backlog to the end of the journal again, in frames of bounded size. False: not all of it. */
  async carry(): Promise<boolean> {
    let frame: Carried[] = []
    let bytes = 0
    let hasRoom = true
    this.#unreadable = null
    const flush = async (): Promise<void> => {
      if (frame.length > 0) hasRoom = await this.#carryFrame(frame)
      frame = []
      bytes = 0
    }
    for (const carried of allOf(this.#options.backlog)) {
      frame.push(carried)
      bytes += carriedBytes(carried)
      if (bytes >= CARRY_BYTES_MAX) await flush()
      if (!hasRoom) return false
    }
    await flush()
    return hasRoom && this.#unreadable === null
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

  /**
   * What was superseded meanwhile is left out, and what can't be read stays where it is; the rest moves in the moment in
   * which the frame is durable. False: there is no room for it.
   */
  #carryFrame(frame: readonly Carried[]): Promise<boolean> {
    const { fs, backlog, commits } = this.#options
    const current: Carried[] = []
    const encode = (): FrameEncoder => {
      this.#encoder.reset()
      const values = new JournalValues(fs)
      for (const carried of frame) {
        if (!isCurrent(backlog, carried)) continue
        const records = toRecords(values, carried)
        if (records.length === 0) {
          this.#unreadable = carried.pending.segment.path
          continue
        }
        for (const record of records) this.#encoder.addRecord(record)
        current.push(carried)
      }
      values.close()
      return this.#encoder
    }
    return commits.carry(encode, ({ segment, offset }) => {
      let value = 0
      for (const carried of current) {
        const { pending } = carried
        const isWrite = 'kind' in pending && pending.kind === 'write'
        const position = isWrite ? offset + this.#encoder.valueOffsets[value++]! : 0
        if (isCurrent(backlog, carried)) backlog.move(pending, segment, position)
      }
    })
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

/** About what it takes in a frame. */
function carriedBytes({ pending }: Carried): number {
  const value = 'size' in pending ? pending.size : 0
  const known = 'known' in pending ? (pending.known?.bytes ?? 0) : 0
  return CARRY_RECORD_BYTES + value + known
}

/** A copy: the backlog changes while it is carried. */
function allOf(backlog: Backlog): Carried[] {
  const all: Carried[] = []
  for (const { name: namespace, change, entries } of backlog) {
    if (change !== null) all.push({ namespace, pending: change })
    for (const pending of entries.values()) all.push({ namespace, pending })
  }
  return all
}

/** What a crash may have left in the tree of an earlier content: recovery must know it from a hand edit. */
function supersededOf({ namespace, pending }: Carried): CarriedRecord[] {
  if (!('known' in pending) || pending.known === null) return []
  const { key, revision, atMs } = pending
  const contents = pending.known.packed(pending.kind === 'write' ? pending : null)
  if (contents.length === 0) return []
  return [{ namespace, revision, atMs, body: { kind: 'superseded', key, contents } }]
}

function isCurrent(backlog: Backlog, { namespace, pending }: Carried): boolean {
  const found = backlog.get(namespace)
  return 'key' in pending ? found?.entries.get(pending.key) === pending : found?.change === pending
}

/** What says the same again. None if the value can't be read: the materializer has said so. */
function toRecords(values: JournalValues, carried: Carried): CarriedRecord[] {
  const { namespace, pending } = carried
  const { revision, atMs } = pending
  const common = { namespace, revision, atMs }
  if (!('kind' in pending)) {
    const { change } = pending
    const kinds = change === 'recreate' ? (['remove', 'create'] as const) : ([change] as const)
    return kinds.map((kind) => ({ ...common, body: { kind } }))
  }
  const superseded = supersededOf(carried)
  if (pending.kind === 'delete')
    return [{ ...common, body: { kind: 'delete', key: pending.key } }, ...superseded]
  const { key, writer, writerAtS, anonymous, segment, position, size, crc } = pending
  const value = readValue(values, { segment: segment.path, position, size, crc })
  if (value === null) return []
  return [{ ...common, body: { kind: 'write', key, writer, writerAtS, anonymous, value } }, ...superseded]
}

function readValue(values: JournalValues, location: ValueLocation): Uint8Array | null {
  try {
    return values.read(location)
  } catch {
    return null
  }
}
