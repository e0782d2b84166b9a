/**
 * Journal owns the segments that have frames, and the place of the next frame. It appends frames one at a time, goes on in
 * a segment of the supply when one is full, and gives segments back when nothing in them is needed any more.
 *
 * - I1: `append` resolves after the sync. The first append that fails is the last one (I8): what the disk holds behind
 *   the last acknowledged frame is unknown from then on.
 * - A frame never spans segments; one that is larger than a segment gets a segment of its own.
 * - A segment is given back only after a checkpoint behind it is durable; whoever reads from it holds it until then.
 * - When the disk is full, the end of the current segment is kept for deletions, so that room can be made.
 */
import { performance } from 'node:perf_hooks'
import { Histogram } from '../../histogram.js'
import type { BackendMetrics } from '../../metrics.js'
import { RecentHistogram } from '../../recent-histogram.js'
import type { CheckpointFile } from './checkpoint.js'
import type { FileSystem } from './file-system.js'
import type { FrameEncoder } from './frame-encoder.js'
import {
  closeSynced,
  SegmentSupply,
  type OpenedSpare,
  type Spare,
  type SupplyOptions,
} from './segment-supply.js'
import { storeIdBytes } from './store-id.js'
import type { JournalPosition } from './tasks.js'

/** Kept for deletions at the end of a segment that has no successor. */
const RESERVE_BYTES = 64 * 1024
/** The next segment is prepared when the current one is filled to this part. */
const PREPARE_AT = 0.25

/** A segment with frames in it. Its holders are records that are not in the tree, and whoever reads from it. */
export class Segment {
  readonly id: number
  readonly path: string
  readonly bytes: number
  /** Place of its first frame, and how much had been appended to the journal before it. */
  readonly start: JournalPosition
  readonly appendedBefore: number
  holders = 0

  constructor(id: number, path: string, bytes: number, start: JournalPosition, appendedBefore: number) {
    this.id = id
    this.path = path
    this.bytes = bytes
    this.start = start
    this.appendedBefore = appendedBefore
  }
}

export interface Appended {
  readonly segment: Segment
  /** Where the frame starts in the segment. */
  readonly offset: number
}

export interface JournalOptions extends SupplyOptions {
  readonly storeId: string
}

export class Journal {
  readonly #fs: FileSystem
  readonly #storeId: Uint8Array
  readonly #supply: SegmentSupply
  /** With frames, oldest first; the last one is being filled. */
  readonly #segments: Segment[] = []
  #fd = -1
  #next: JournalPosition
  #appended = 0
  /** How much had been appended when nothing was missing in the tree. */
  #drained = 0
  #recycling: Promise<void> = Promise.resolve()
  #lastAppendAt = 0
  /** Milliseconds that the frames' writes and syncs took. */
  readonly #appendMs = new Histogram(0.01)
  readonly #syncMs = new Histogram(0.01)
  readonly #recentSyncMs = new RecentHistogram(0.01)

  /** `next.segment` is the first id that may be used; `next.offset` is not looked at. */
  constructor(options: JournalOptions, next: JournalPosition, spares: readonly Spare[]) {
    this.#fs = options.fs
    this.#storeId = storeIdBytes(options.storeId)
    this.#supply = new SegmentSupply(options, next.segment, spares)
    this.#next = next
  }

  /** What it tells of itself. */
  counts(): Pick<BackendMetrics, 'journalBytes' | 'appendMs' | 'syncMs' | 'recentSyncMs' | 'backlogBytes'> {
    return {
      journalBytes: this.#appended,
      appendMs: this.#appendMs.counts(),
      syncMs: this.#syncMs.counts(),
      recentSyncMs: this.#recentSyncMs.counts(performance.now()),
      backlogBytes: this.backlogBytes,
    }
  }

  /** Opens the first segment. Returns the system's code if there is no room for it. */
  async start(): Promise<string | null> {
    return this.#enter(await this.#supply.openFirst())
  }

  /** The place of the next frame. */
  get end(): JournalPosition {
    return this.#next
  }

  /** First place from which the journal is still needed. */
  get oldestNeeded(): JournalPosition {
    if (this.#drained === this.#appended) return this.#next
    const oldest = this.#segments.find((segment) => segment.holders > 0)
    return oldest?.start ?? this.#next
  }

  /** Bytes appended since the tree last had everything, as far as their segments are still needed. */
  get backlogBytes(): number {
    const oldest = this.#segments.find((segment) => segment.holders > 0)
    if (oldest === undefined) return 0
    return this.#appended - Math.max(this.#drained, oldest.appendedBefore)
  }

  get hasSpare(): boolean {
    return this.#supply.hasSpare
  }

  /** Nothing in the oldest segment is needed, and it is not the current one. */
  get hasUnheld(): boolean {
    return this.#segments.length > 1 && this.#segments[0]!.holders === 0
  }

  /** Milliseconds since the last append ended. */
  get quietMs(): number {
    return performance.now() - this.#lastAppendAt
  }

  /** Nothing that was appended so far is missing in the tree. */
  noteDrained(): void {
    this.#drained = this.#appended
  }

  /** The segment that holds the backlog back, if it is not the current one. */
  get oldestHeld(): Segment | null {
    const oldest = this.#segments.find((segment) => segment.holders > 0)
    return oldest === undefined || oldest === this.#segments.at(-1) ? null : oldest
  }

  /** Makes sure that a frame of this size has a place. Returns the system's code if there is no room for it. */
  async makeRoom(frameBytes: number, useReserve: boolean): Promise<string | null> {
    const current = this.#segments.at(-1)!
    const left = current.bytes - this.#next.offset - frameBytes
    const reserve = this.hasSpare || useReserve ? 0 : RESERVE_BYTES
    if (left >= reserve) {
      if (!this.hasSpare && this.#next.offset + frameBytes > current.bytes * PREPARE_AT)
        void this.prepareSpare()
      return null
    }
    return this.#enter(await this.#supply.open(frameBytes))
  }

  /** Has the next segment prepared in the background. Returns the system's code if there is no room for it. */
  prepareSpare(): Promise<string | null> {
    return this.#supply.prepareSpare()
  }

  /**
   * Writes the encoder's frame at the end and syncs it. There must be room, and no other append under way. `onDurable` is
   * called in the moment in which the end moves: what must hold the segment holds it before anybody sees the new end.
   */
  async append(encoder: FrameEncoder, onDurable: (appended: Appended) => void): Promise<void> {
    const fs = this.#fs
    const segment = this.#segments.at(-1)!
    const { sequence, previousCrc, offset } = this.#next
    const place = { storeId: this.#storeId, sequence, segment: segment.id, offset, previousCrc }
    const { bytes, crc } = encoder.seal(place)
    const beginMs = performance.now()
    for (let done = 0; done < bytes.length;) {
      const written = await fs.writeAsync(this.#fd, bytes, done, bytes.length - done, offset + done)
      if (written <= 0) throw new Error('the disk took no bytes of a write to the journal')
      done += written
    }
    const writtenMs = performance.now()
    await fs.datasyncAsync(this.#fd)
    this.#next = {
      segment: segment.id,
      offset: offset + bytes.length,
      sequence: sequence + 1,
      previousCrc: crc,
    }
    this.#appended += bytes.length
    this.#lastAppendAt = performance.now()
    this.#appendMs.record(writtenMs - beginMs)
    this.#syncMs.record(this.#lastAppendAt - writtenMs)
    this.#recentSyncMs.record(this.#lastAppendAt - writtenMs, this.#lastAppendAt)
    onDurable({ segment, offset })
  }

  /** Gives back the oldest segments that nobody holds; a checkpoint behind them is made durable first. */
  recycle(writeCheckpoint: () => ReturnType<CheckpointFile['write']>): Promise<void> {
    this.#recycling = this.#recycling.then(async () => {
      const current = this.#segments.at(-1)!
      const held = this.#segments.findIndex((segment) => segment.holders > 0 || segment === current)
      if (held <= 0) return
      await writeCheckpoint()
      for (const segment of this.#segments.splice(0, held)) await this.#supply.giveBack(segment)
    })
    return this.#recycling
  }

  /** Waits for what is done in the background. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#supply.settled(), this.#recycling])
    if (this.#fd !== -1) closeSynced(this.#fs, this.#fd)
    this.#fd = -1
  }

  /** Goes on in the segment that was opened. Returns the system's code if there was none. */
  #enter(opened: OpenedSpare | string): string | null {
    if (typeof opened === 'string') return opened
    const { id, path, bytes } = opened.spare
    if (this.#fd !== -1) closeSynced(this.#fs, this.#fd)
    this.#fd = opened.fd
    this.#next = { ...this.#next, segment: id, offset: 0 }
    this.#segments.push(new Segment(id, path, bytes, this.#next, this.#appended))
    return null
  }
}
