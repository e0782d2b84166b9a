/**
 * Appending without a change of threads. Handing a write or a sync to another thread and being woken again costs 0.1 to
 * 0.4 ms; where the disk is quicker than that, it is done in the caller's thread instead. SyncInPlace owns the knowledge of
 * how quick the disk is.
 *
 * - A sync in place that turns out slow is the last one for some time, which becomes longer as long as the next one in place
 *   is slow too: a slow disk blocks the event loop seldom, and never twice in a row.
 * - What is left to another thread tells little of the disk, since waiting for the threads counts too. So if it does not take
 *   long for that, the next one is tried in place.
 */
import { performance } from 'node:perf_hooks'
import type { FileSystem } from './file-system.js'

/** A sync in place that takes longer, in milliseconds, was one too many. */
const QUICK_MS = 0.75
/** A disk that takes longer than this through another thread is not tried. */
const PROMISING_MS = 2
/** More bytes than this are left to another thread, whatever the disk. */
const BYTES_MAX = 256 * 1024
/** So many are left to another thread after a slow one: at first, and at most. */
const PAUSE_FIRST = 4
const PAUSE_MAX = 1024

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
  /** Of the first sync nobody knows how long it will take. */
  #isInPlace = false
  /** Written since the last sync. */
  #bytes = 0
  /** To be left to another thread before it is tried in place again. */
  #pauseLeft = 0
  #pause = PAUSE_FIRST

  constructor(fs: FileSystem, now: () => number) {
    this.#fs = fs
    this.#now = now
  }

  async write(...args: Parameters<FileSystem['writeAsync']>): Promise<number> {
    const [fd, buffer, offset, length, position] = args
    this.#bytes += length
    if (!this.#isInPlace || this.#bytes > BYTES_MAX) return this.#fs.writeAsync(...args)
    return this.#fs.write(fd, buffer, offset, length, position)
  }

  async datasync(fd: number): Promise<void> {
    const isSmall = this.#bytes <= BYTES_MAX
    this.#bytes = 0
    const begin = this.#now()
    if (this.#isInPlace && isSmall) {
      this.#fs.datasync(fd)
      this.#doneInPlace(this.#now() - begin)
    } else {
      await this.#fs.datasyncAsync(fd)
      if (isSmall) this.#doneElsewhere(this.#now() - begin)
    }
  }

  #doneInPlace(tookMs: number): void {
    if (tookMs <= QUICK_MS) {
      this.#pause = PAUSE_FIRST
      return
    }
    this.#isInPlace = false
    this.#pauseLeft = this.#pause
    this.#pause = Math.min(2 * this.#pause, PAUSE_MAX)
  }

  #doneElsewhere(tookMs: number): void {
    if (this.#pauseLeft > 0) this.#pauseLeft--
    this.#isInPlace = this.#pauseLeft === 0 && tookMs <= PROMISING_MS
  }
}
