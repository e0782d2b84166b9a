/**
 * Appending without a change of threads. Handing a write or a sync to another thread and being woken again costs about
 * 0.1 ms; where the disk is quicker than a few of these, it is done in the caller's thread instead. SyncInPlace owns the
 * measure of how quick the disk is: a slow one, or one that has become slow, never blocks the event loop more than once in a row.
 */
import { performance } from 'node:perf_hooks'
import type { FileSystem } from './file-system.js'

/** Syncs that take longer than this on average, in milliseconds, are left to another thread. */
const QUICK_MS = 0.5
/** More bytes than this are left to another thread, whatever the disk. */
const BYTES_MAX = 256 * 1024
/** What a sync counts for in the average. */
const WEIGHT = 1 / 16

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
  /** Moving average; unknown before the first sync, which is left to another thread. */
  #averageMs = Infinity
  /** Written since the last sync. */
  #bytes = 0

  constructor(fs: FileSystem, now: () => number) {
    this.#fs = fs
    this.#now = now
  }

  async write(...args: Parameters<FileSystem['writeAsync']>): Promise<number> {
    const [fd, buffer, offset, length, position] = args
    this.#bytes += length
    if (!this.#isQuick) return this.#fs.writeAsync(...args)
    return this.#fs.write(fd, buffer, offset, length, position)
  }

  async datasync(fd: number): Promise<void> {
    const isQuick = this.#isQuick
    const isSmall = this.#bytes <= BYTES_MAX
    this.#bytes = 0
    const begin = this.#now()
    if (isQuick) this.#fs.datasync(fd)
    else await this.#fs.datasyncAsync(fd)
    if (isSmall) this.#note(this.#now() - begin)
  }

  get #isQuick(): boolean {
    return this.#averageMs <= QUICK_MS && this.#bytes <= BYTES_MAX
  }

  #note(tookMs: number): void {
    const isFirst = this.#averageMs === Infinity
    const average = isFirst ? tookMs : this.#averageMs + (tookMs - this.#averageMs) * WEIGHT
    // A slow one counts at once, quick ones little by little.
    this.#averageMs = tookMs > QUICK_MS ? Math.max(average, tookMs) : average
  }
}
