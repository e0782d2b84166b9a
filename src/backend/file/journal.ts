/**
 * Journal owns the segments and the place of the next frame. It appends frames one at a time, has the next segment
 * prepared before it is needed, and gives segments back when nothing in them is needed any more.
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
import { errorCode, systemError, type FileSystem } from './file-system.js'
import type { FrameEncoder } from './frame-encoder.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES, segmentPath } from './segment.js'
import { storeIdBytes } from './store-id.js'
import type { TaskRunner } from './task-runner.js'
import type { JournalPosition } from './tasks.js'

/** Kept for deletions at the end of a segment that has no successor. */
const RESERVE_BYTES = 64 * 1024
/** The next segment is prepared when the current one is filled to this part. */
const PREPARE_AT = 0.25
/** After a failure to make a segment, how long it is taken to be still so. */
const REFUSED_MS = 100
/** Segments kept ready after a burst; others are deleted. */
const SPARES_MAX = 4

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

export interface JournalOptions {
  readonly fs: FileSystem
  readonly runner: TaskRunner
  readonly directory: string
  readonly storeId: string
  readonly fileMode: number
  /** Called when a segment became ready, or failed to (the system's error code). */
  readonly onSpace: (failure: string | null) => void
}

/** A segment without frames that are needed: frames of its earlier use have smaller sequences than any to come. */
export interface Spare {
  readonly id: number
  readonly path: string
  readonly bytes: number
}

export class Journal {
  readonly #options: JournalOptions
  readonly #storeId: Uint8Array
  readonly #spares: Spare[] = []
  /** With frames, oldest first; the last one is being filled. */
  readonly #segments: Segment[] = []
  #fd = -1
  #nextId: number
  /** Of segments that nobody knows whether they were made. */
  readonly #abandonedIds: number[] = []
  #next: JournalPosition
  #appended = 0
  /** How much had been appended when nothing was missing in the tree. */
  #drained = 0
  #preparing: Promise<string | null> | null = null
  #refused: { code: string | null; atMs: number } = { code: null, atMs: 0 }
  #recycling: Promise<void> = Promise.resolve()
  #lastAppendAt = 0
  /** Milliseconds that the frames' writes and syncs took. */
  readonly #appendMs = new Histogram(0.01)
  readonly #syncMs = new Histogram(0.01)
  readonly #recentSyncMs = new RecentHistogram(0.01)

  /** `next.segment` is the first id that may be used; `next.offset` is not looked at. */
  constructor(options: JournalOptions, next: JournalPosition, spares: readonly Spare[]) {
    this.#options = options
    this.#storeId = storeIdBytes(options.storeId)
    this.#nextId = next.segment
    this.#next = next
    this.#spares.push(...spares)
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
    if (this.#spares.length === 0) {
      const failure = await this.#prepare(FIRST_SEGMENT_BYTES)
      if (failure !== null) return failure
    }
    return this.#enter(0)
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
    return this.#spares.length > 0
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
    const isLarge = frameBytes > SEGMENT_BYTES
    if (isLarge || !this.#spares.some((spare) => spare.bytes >= frameBytes)) {
      const failure = isLarge
        ? await this.#prepare(frameBytes)
        : await (this.#preparing ?? this.prepareSpare())
      if (failure !== null) return failure
    }
    const index = this.#spares.findIndex((spare) => spare.bytes >= frameBytes)
    if (index === -1) return this.makeRoom(frameBytes, useReserve)
    const spare = this.#spares[index]
    const failure = this.#enter(index)
    const isDropped = failure !== null && !this.#spares.includes(spare!)
    return isDropped ? this.makeRoom(frameBytes, useReserve) : failure
  }

  /** Has the next segment prepared in the background; at most one at a time, and not again at once on a full disk. */
  prepareSpare(): Promise<string | null> {
    const { code, atMs } = this.#refused
    if (code !== null && performance.now() - atMs < REFUSED_MS) return Promise.resolve(code)
    this.#preparing ??= this.#prepare(SEGMENT_BYTES).finally(() => {
      this.#preparing = null
    })
    return this.#preparing
  }

  /**
   * Writes the encoder's frame at the end and syncs it. There must be room, and no other append under way. `onDurable` is
   * called in the moment in which the end moves: what must hold the segment holds it before anybody sees the new end.
   */
  async append(encoder: FrameEncoder, onDurable: (appended: Appended) => void): Promise<void> {
    const { fs } = this.#options
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
      for (const segment of this.#segments.splice(0, held)) await this.#giveBack(segment)
    })
    return this.#recycling
  }

  /** Waits for what is done in the background. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#preparing, this.#recycling])
    if (this.#fd !== -1) closeSynced(this.#options.fs, this.#fd)
    this.#fd = -1
  }

  /**
   * Goes on in a spare segment. Returns the system's code if it can't be opened. It stays a spare then, unless it is gone, or
   * something else lies in its place, which is not ours to write to.
   */
  #enter(index: number): string | null {
    const { fs } = this.#options
    const spare = this.#spares[index]!
    const previous = this.#fd
    try {
      this.#fd = openSegment(fs, spare)
    } catch (error) {
      const code = errorCode(error)
      if (!TRANSIENT.has(code)) this.#spares.splice(index, 1)
      return code
    }
    this.#spares.splice(index, 1)
    this.#next = { ...this.#next, segment: spare.id, offset: 0 }
    this.#segments.push(new Segment(spare.id, spare.path, spare.bytes, this.#next, this.#appended))
    if (previous !== -1) closeSynced(fs, previous)
    return null
  }

  async #prepare(bytes: number): Promise<string | null> {
    const { runner, directory, fileMode, onSpace } = this.#options
    const id = this.#abandonedIds.pop() ?? this.#nextId++
    const path = segmentPath(directory, id)
    const preparing = runner.run({ kind: 'prepare-segment', path, bytes, fileMode })
    // A worker that died may have left the file; the next attempt begins with removing it.
    preparing.catch(() => this.#abandonedIds.push(id))
    const failure = await this.#try(preparing)
    if (failure === null) this.#spares.push({ id, path, bytes })
    this.#refused = { code: failure, atMs: performance.now() }
    onSpace(failure)
    return failure
  }

  async #giveBack(segment: Segment): Promise<void> {
    const { runner, onSpace } = this.#options
    const isUsual = segment.bytes === SEGMENT_BYTES
    if (!isUsual || this.#spares.length >= SPARES_MAX) {
      // What can't be deleted now is deleted by the next open; nothing depends on it.
      await this.#try(runner.run({ kind: 'remove-segments', paths: [segment.path] }))
      return
    }
    this.#spares.push({ id: segment.id, path: segment.path, bytes: segment.bytes })
    onSpace(null)
  }

  async #try(task: Promise<{ failure: { code: string } | null }>): Promise<string | null> {
    try {
      return (await task).failure?.code ?? null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

/** What keeps any file from being opened, and says nothing of this one. */
const TRANSIENT: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EIO', 'EINTR'])

function openSegment(fs: FileSystem, { path, bytes }: Spare): number {
  const fd = fs.open(path, 'read-write')
  try {
    const { kind, size, links } = fs.stat(fd)
    if (kind === 'file' && size === bytes && links === 1) return fd
  } catch (error) {
    closeSynced(fs, fd)
    throw error
  }
  closeSynced(fs, fd)
  throw systemError('ESTALE', `not the segment that was prepared: ${path}`)
}

function closeSynced(fs: FileSystem, fd: number): void {
  try {
    fs.close(fd)
  } catch {
    // Everything in it was synced, or its append has failed already: whatever closing complains of, nothing is lost.
  }
}
