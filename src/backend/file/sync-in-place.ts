/**
 * Appending without a change of threads. Handing a write or a sync to another thread and being woken again costs 0.1 to
 * 0.4 ms; where the disk is quicker than that, it is done in the caller's thread instead. SyncInPlace owns the knowledge of
 * how quick the disk is.
 *
 * - After an append in place that turned out slow, none is made for several times as long as that one took, and for longer
 *   each time as long as the next one is slow too: only a small part of the time is spent so, however slow the disk is.
 * - What is left to another thread tells little of the disk, since waiting for the threads counts too. So if it does not take
 *   long for that, the next one is tried in place.
 */
import { performance } from 'node:perf_hooks'
import type { FileSystem } from './file-system.js'

/** An append in place that takes longer, in milliseconds, was one too many. */
const QUICK_MS = 0.75
/** A disk that takes longer than this through another thread is not tried. */
const PROMISING_MS = 2
/** More bytes than this are left to another thread, whatever the disk. */
const BYTES_MAX = 256 * 1024
/** So many times as long as a slow one took all are left to another thread: at first, and at most. */
const PAUSE_FIRST = 5
const PAUSE_MAX = 320

/** What was written to a file since its last sync. */
interface Written {
  readonly bytes: number
  /** What that took in place. */
  readonly inPlaceMs: number
}

const NOTHING: Written = { bytes: 0, inPlaceMs: 0 }

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
  /** By descriptor. */
  readonly #written = new Map<number, Written>()
  /** Of the first sync nobody knows how long it will take. */
  #isInPlace = false
  /** When it may be tried in place again. */
  #pausedUntilMs = -Infinity
  #pause = PAUSE_FIRST

  constructor(fs: FileSystem, now: () => number) {
    this.#fs = fs
    this.#now = now
  }

  async write(...args: Parameters<FileSystem['writeAsync']>): Promise<number> {
    const [fd, buffer, offset, length, position] = args
    const before = this.#written.get(fd) ?? NOTHING
    const bytes = before.bytes + length
    if (!this.#isInPlace || bytes > BYTES_MAX) {
      this.#written.set(fd, { ...before, bytes })
      return this.#fs.writeAsync(...args)
    }
    const beginMs = this.#now()
    const written = this.#fs.write(fd, buffer, offset, length, position)
    this.#written.set(fd, { bytes, inPlaceMs: before.inPlaceMs + this.#now() - beginMs })
    return written
  }

  async datasync(fd: number): Promise<void> {
    const { bytes, inPlaceMs } = this.#written.get(fd) ?? NOTHING
    this.#written.delete(fd)
    const isSmall = bytes <= BYTES_MAX
    const beginMs = this.#now()
    if (this.#isInPlace && isSmall) {
      this.#fs.datasync(fd)
      const endMs = this.#now()
      this.#doneInPlace(inPlaceMs + endMs - beginMs, endMs)
    } else {
      await this.#fs.datasyncAsync(fd)
      const endMs = this.#now()
      if (isSmall) this.#isInPlace = endMs >= this.#pausedUntilMs && endMs - beginMs <= PROMISING_MS
    }
  }

  #doneInPlace(tookMs: number, nowMs: number): void {
    if (tookMs <= QUICK_MS) {
      this.#pause = PAUSE_FIRST
      return
    }
    this.#isInPlace = false
    this.#pausedUntilMs = nowMs + tookMs * this.#pause
    this.#pause = Math.min(2 * this.#pause, PAUSE_MAX)
  }
}
