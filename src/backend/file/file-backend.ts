/**
 * The file backend: a `Backend` over a root directory. What there is of it lives in `OpenRoot`, from `open` to `close`.
 *
 * A commit goes GroupCommit → Journal (one frame, one sync) → Backlog; from there Materializer → worker → tree. A read that
 * memory can't answer goes to TreeSource. Upkeep moves the checkpoint and gives segments back.
 */
import { v4 as uuidv4 } from 'uuid'
import { stateError } from '../../errors.js'
import type { BackendMetrics } from '../../metrics.js'
import type { FileSettings } from '../../open-options.js'
import type {
  Backend,
  BackendHost,
  CommitOutcome,
  HeadAnswer,
  OpenAnswer,
  Plan,
  ReadAnswer,
} from '../backend.js'
import { nodeFileSystem, type FileSystem } from './file-system.js'
import { openRoot, type OpenRoot } from './open-root.js'
import { acquireRootLock } from './root-lock.js'
import { syncingInPlace } from './sync-in-place.js'
import { WorkerPools, type TaskRunner } from './task-runner.js'

/** What tests put in the place of the disk, the lock, the workers and the store's id. */
export interface FileBackendParts {
  readonly fs: FileSystem
  readonly acquireLock: typeof acquireRootLock
  readonly runner: (workers: number, workerUrl: URL | null) => TaskRunner
  readonly newStoreId: () => string
}

function usualParts(): FileBackendParts {
  return {
    fs: syncingInPlace(nodeFileSystem),
    acquireLock: acquireRootLock,
    runner: (workers, workerUrl) => new WorkerPools(workers, workerUrl),
    newStoreId: uuidv4,
  }
}

export function fileBackend(settings: FileSettings, parts: FileBackendParts = usualParts()): Backend {
  return new FileBackend(settings, parts)
}

class FileBackend implements Backend {
  readonly name = 'file'
  /** One at a time: forming a second group meanwhile makes groups smaller, and was measured to be no faster. */
  readonly supports = { exclusive: true, commitsInFlight: 1 }
  readonly #settings: FileSettings
  readonly #parts: FileBackendParts
  #root: OpenRoot | null = null
  #isOpening = false

  constructor(settings: FileSettings, parts: FileBackendParts) {
    this.#settings = settings
    this.#parts = parts
  }

  async open(host: BackendHost): Promise<OpenAnswer> {
    if (this.#root !== null || this.#isOpening) {
      const owned = { pid: process.pid, since: null, sameProcess: true }
      throw stateError('STORE_OWNED', `the root is open in another store: ${this.#settings.root}`, owned)
    }
    this.#isOpening = true
    try {
      const { root, answer } = await openRoot(this.#settings, this.#parts, host)
      this.#root = root
      return answer
    } finally {
      this.#isOpening = false
    }
  }

  ready(): Promise<void> | null {
    return this.#opened.ready()
  }

  commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    return this.#opened.commit(plans)
  }

  metrics(): BackendMetrics {
    return this.#opened.metrics()
  }

  loadConflicts(): Promise<readonly string[]> {
    return this.#opened.conflicts.load()
  }

  saveConflicts(lines: readonly string[]): Promise<void> {
    return this.#opened.conflicts.save(lines)
  }

  allocateRevision(): number {
    return this.#opened.checkpointer.take(1)
  }

  namespaces(): Promise<readonly string[]> {
    return this.#opened.source.namespaces()
  }

  load(namespace: string): Promise<{ readonly exists: boolean; readonly keys: readonly string[] }> {
    return this.#opened.load(namespace)
  }

  heads(namespace: string, keys: readonly string[]): Promise<readonly HeadAnswer[]> {
    return this.#opened.source.heads(namespace, keys)
  }

  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    return this.#opened.source.read(namespace, keys)
  }

  materialized(namespace: string, keys: readonly string[], revision: number): Promise<void> {
    return this.#opened.materializer.materialized(namespace, keys, revision)
  }

  flush(onProgress?: (done: number, total: number) => void): Promise<void> {
    return this.#opened.materializer.flush(onProgress)
  }

  async close(options: {
    flush: boolean
    onProgress?: (done: number, total: number) => void
  }): Promise<boolean> {
    const root = this.#opened
    this.#root = null
    return root.close(options)
  }

  get #opened(): OpenRoot {
    if (this.#root === null) throw new Error('the file backend is not open')
    return this.#root
  }
}
