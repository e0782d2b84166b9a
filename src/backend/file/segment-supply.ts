/**
 * SegmentSupply owns the segments that hold nothing that is needed: it has the next one prepared before the journal asks for
 * it, opens the one that the journal goes on in, and keeps those that are given back.
 *
 * - An id is given once; but that of a segment of which nobody knows whether it was made is given again, and preparing it
 *   begins with removing it.
 * - A spare that can't be opened for want of something stays one. If it is gone, or something else lies in its place, it is
 *   dropped: that is not ours to write to.
 */
import { performance } from 'node:perf_hooks'
import { errorCode, systemError, type FileSystem } from './file-system.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES, segmentPath } from './segment.js'
import type { TaskRunner } from './task-runner.js'

/** After a failure to make a segment, how long it is taken to be still so. */
const REFUSED_MS = 100
/** Segments kept ready after a burst; others are deleted. */
const SPARES_MAX = 4

/** A segment without frames that are needed: frames of its earlier use have smaller sequences than any to come. */
export interface Spare {
  readonly id: number
  readonly path: string
  readonly bytes: number
}

export interface OpenedSpare {
  readonly spare: Spare
  readonly fd: number
}

export interface SupplyOptions {
  readonly fs: FileSystem
  readonly runner: TaskRunner
  readonly directory: string
  readonly fileMode: number
  /** Called when a segment became ready, or failed to (the system's error code). */
  readonly onSpace: (failure: string | null) => void
}

export class SegmentSupply {
  readonly #options: SupplyOptions
  readonly #spares: Spare[] = []
  #nextId: number
  /** Of segments that nobody knows whether they were made. */
  readonly #abandonedIds: number[] = []
  #preparing: Promise<string | null> | null = null
  #refused: { code: string | null; atMs: number } = { code: null, atMs: 0 }

  constructor(options: SupplyOptions, nextId: number, spares: readonly Spare[]) {
    this.#options = options
    this.#nextId = nextId
    this.#spares.push(...spares)
  }

  get hasSpare(): boolean {
    return this.#spares.length > 0
  }

  /** Opens the first segment of the journal: a small one, if it has to be made. Returns the system's code if there is none. */
  async openFirst(): Promise<OpenedSpare | string> {
    const failure = this.hasSpare ? null : await this.#prepare(FIRST_SEGMENT_BYTES)
    return failure ?? this.open(0)
  }

  /** Opens a segment with room for so many bytes, made if need be. Returns the system's code if there is none. */
  async open(bytes: number): Promise<OpenedSpare | string> {
    for (let isNew = false; ;) {
      const spare = this.#spares.find((each) => each.bytes >= bytes)
      if (spare === undefined) {
        const failure = await this.#prepareFor(bytes)
        if (failure !== null) return failure
        isNew = true
        continue
      }
      try {
        const fd = openSegment(this.#options.fs, spare)
        this.#drop(spare)
        return { spare, fd }
      } catch (error) {
        const code = errorCode(error)
        if (TRANSIENT.has(code)) return code
        this.#drop(spare)
        // Where not even a new one is what was prepared, another one would not be.
        if (isNew) return code
      }
    }
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

  /** What was in it is not needed any more, and a checkpoint says so durably. */
  async giveBack({ id, path, bytes }: Spare): Promise<void> {
    const { runner, onSpace } = this.#options
    if (bytes !== SEGMENT_BYTES || this.#spares.length >= SPARES_MAX) {
      // What can't be deleted now is deleted by the next open; nothing depends on it.
      await codeOf(runner.run({ kind: 'remove-segments', paths: [path] }))
      return
    }
    this.#spares.push({ id, path, bytes })
    onSpace(null)
  }

  /** Waits for what is done in the background. */
  async settled(): Promise<void> {
    await this.#preparing
  }

  #drop(spare: Spare): void {
    this.#spares.splice(this.#spares.indexOf(spare), 1)
  }

  /** Many frames fit into a usual one; a larger frame gets one of its own. */
  #prepareFor(bytes: number): Promise<string | null> {
    return bytes > SEGMENT_BYTES ? this.#prepare(bytes) : (this.#preparing ?? this.prepareSpare())
  }

  async #prepare(bytes: number): Promise<string | null> {
    const { runner, directory, fileMode, onSpace } = this.#options
    const id = this.#abandonedIds.pop() ?? this.#nextId++
    const path = segmentPath(directory, id)
    const preparing = runner.run({ kind: 'prepare-segment', path, bytes, fileMode })
    // A worker that died may have left the file; the next attempt begins with removing it.
    preparing.catch(() => this.#abandonedIds.push(id))
    const failure = await codeOf(preparing)
    if (failure === null) this.#spares.push({ id, path, bytes })
    this.#refused = { code: failure, atMs: performance.now() }
    onSpace(failure)
    return failure
  }
}

/** Of a task's failure, the system's code, or what it is known by; null: there was none. */
async function codeOf(task: Promise<{ failure: { code: string } | null }>): Promise<string | null> {
  try {
    return (await task).failure?.code ?? null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
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

export function closeSynced(fs: FileSystem, fd: number): void {
  try {
    fs.close(fd)
  } catch {
    // Everything in it was synced, or its append has failed already: whatever closing complains of, nothing is lost.
  }
}
