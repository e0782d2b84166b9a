/**
 * Appending without a change of threads. Handing a write or a sync to another thread and being woken again costs 0.1 to
 * 0.4 ms each, and several times that where other threads are busy; where the disk is quicker, it is done in the caller's
 * thread instead. SyncInPlace owns the knowledge of how quick the disk is, of writes and of syncs apart: a disk whose syncs
 * are slow still takes writes at once.
 *
 * - What it does in place may take as long as a change of threads does, now and then a little longer. After one that
 *   stalled, or when they have become slow, none is made in place for several times as long as that one took, and for
 *   longer each time as long as the next one is slow too: only a small part of the time is lost so, however slow the disk.
 * - A sync that is left to another thread tells little of the disk, since waiting for the threads counts too. So if it does
 *   not take long for that, the next one is tried in place.
 */
import { performance } from 'node:perf_hooks'
import type { FileSystem } from './file-system.js'

/** What usually takes longer in place, in milliseconds, is left to another thread. */
const USUAL_MS = 1
/** The weight of one in what is usual. */
const WEIGHT = 1 / 8
/** One that takes longer has stalled. */
const STALL_MS = 2
/** A disk that takes longer than this through another thread is not tried. */
const PROMISING_MS = 2
/** More bytes than this are left to another thread, whatever the disk: written by one call, and by one sync. */
const WRITE_BYTES_MAX = 2 * 1024 * 1024
const SYNC_BYTES_MAX = 256 * 1024
/** So many times as long as a slow one took all are left to another thread: at first, and at most. */
const PAUSE_FIRST = 5
const PAUSE_MAX = 320

/** The same file system, whose asynchronous calls are made in place where the disk is quick. */
export function syncingInPlace(fs: FileSystem, now: () => number = () => performance.now()): FileSystem {
  const inPlace = new SyncInPlace(fs, now)
  return {
    ...fs,
    writeAsync: (...args) => inPlace.write(...args),
    datasyncAsync: (fd) => inPlace.datasync(fd),
  }
}

class SyncInPlace {
  readonly #fs: FileSystem
  readonly #now: () => number
  readonly #writes = new Trial()
  readonly #syncs = new Trial()
  /** Bytes that were written since the last sync, by descriptor. */
  readonly #written = new Map<number, number>()
  /** Of the first sync nobody knows how long it will take. */
  #isPromising = false

  constructor(fs: FileSystem, now: () => number) {
    this.#fs = fs
    this.#now = now
  }

  async write(...args: Parameters<FileSystem['writeAsync']>): Promise<number> {
    const [fd, buffer, offset, length, position] = args
    this.#written.set(fd, (this.#written.get(fd) ?? 0) + length)
    const beginMs = this.#now()
    if (length > WRITE_BYTES_MAX || !this.#writes.isOn(beginMs)) return this.#fs.writeAsync(...args)
    const written = this.#fs.write(fd, buffer, offset, length, position)
    this.#writes.took(beginMs, this.#now())
    return written
  }

  async datasync(fd: number): Promise<void> {
    const bytes = this.#written.get(fd) ?? 0
    this.#written.delete(fd)
    const beginMs = this.#now()
    if (bytes > SYNC_BYTES_MAX) return this.#fs.datasyncAsync(fd)
    if (this.#isPromising && this.#syncs.isOn(beginMs)) {
      this.#fs.datasync(fd)
      this.#syncs.took(beginMs, this.#now())
    } else {
      await this.#fs.datasyncAsync(fd)
      this.#isPromising = this.#now() - beginMs <= PROMISING_MS
    }
  }
}

/** Whether to do something in place, by how long it took before. */
class Trial {
  /** Null: after a pause, or at first, nothing is known. */
  #usualMs: number | null = null
  #pausedUntilMs = -Infinity
  #pause = PAUSE_FIRST

  isOn(nowMs: number): boolean {
    return nowMs >= this.#pausedUntilMs
  }

  took(beginMs: number, endMs: number): void {
    const ms = endMs - beginMs
    this.#usualMs = this.#usualMs === null ? ms : this.#usualMs + (ms - this.#usualMs) * WEIGHT
    if (ms <= STALL_MS && this.#usualMs <= USUAL_MS) {
      if (ms <= USUAL_MS) this.#pause = PAUSE_FIRST
      return
    }
    this.#usualMs = null
    this.#pausedUntilMs = endMs + ms * this.#pause
    this.#pause = Math.min(2 * this.#pause, PAUSE_MAX)
  }
}
