/**
 * OpenRoot owns a root from the moment its lock is held until it is released: everything that serves it, and the order in
 * which that starts and ends.
 *
 * - I2, I10: lock, then format and checkpoint, then recovery; only then anything is served.
 * - I8: when an append or a checkpoint fails, nothing is appended, acknowledged or given back any more; reads go on. The
 *   lock is kept until `close`.
 */
import { performance } from 'node:perf_hooks'
import { AgentStateError, stateError } from '../../errors.js'
import type { BackendMetrics } from '../../metrics.js'
import type { FileSettings } from '../../open-options.js'
import type { BackendHost, CommitOutcome, OpenAnswer, Plan } from '../backend.js'
import { BacklogGate } from './backlog-gate.js'
import { Backlog } from './backlog.js'
import { Carrier, notCarried } from './carrier.js'
import { CheckpointFile } from './checkpoint.js'
import { Checkpointer } from './checkpointer.js'
import { cleanUp, type Cleanup } from './clean-up.js'
import { findEarlierSegments, syncFound, syncSegments, type EarlierSegments } from './earlier-segments.js'
import type { FileBackendParts } from './file-backend.js'
import { errorCode, syncDirectory, type FileSystem } from './file-system.js'
import { GroupCommit } from './group-commit.js'
import { Journal } from './journal.js'
import type { StoreLayout } from './layout.js'
import { Materializer } from './materializer.js'
import { probeNameFolding } from './name-folding.js'
import { NamespaceSpellings } from './namespace-spellings.js'
import { PastConflicts } from './past-conflicts.js'
import { readJournal, type FoundJournal } from './recovery.js'
import { RootGuard } from './root-guard.js'
import { noJournal, prepareFormat, prepareRoot, prepareStoreDirectories, unusable } from './root.js'
import { SpaceWait } from './space-wait.js'
import type { TaskRunner } from './task-runner.js'
import type { RootContext } from './tasks.js'
import { sweepTemporaries } from './temporaries.js'
import { TreeSource } from './tree-source.js'
import { Upkeep } from './upkeep.js'

/** Keys that are brought into the tree while opening; about a second's work. */
const RECOVER_AT_ONCE_MAX = 1000

export interface CloseRootOptions {
  readonly flush: boolean
  readonly onProgress?: (done: number, total: number) => void
}

export async function openRoot(
  settings: FileSettings,
  parts: FileBackendParts,
  host: BackendHost,
): Promise<{ root: OpenRoot; answer: OpenAnswer }> {
  const cleanups: Cleanup[] = []
  try {
    const root = await startRoot(settings, parts, host, cleanups)
    return { root, answer: await root.start() }
  } catch (error) {
    // What fails while taking things apart again is not what the caller has to know.
    await cleanUp(cleanups).catch(() => {})
    throw errorCode(error) === 'UNKNOWN' ? error : unusable(settings.root, error)
  }
}

async function startRoot(
  settings: FileSettings,
  { fs, acquireLock, runner: startRunner, newStoreId }: FileBackendParts,
  host: BackendHost,
  cleanups: Cleanup[],
): Promise<OpenRoot> {
  const { mode, ownerWaitMs } = settings
  const prepared = prepareRoot(fs, settings.root, mode)
  const { root, layout } = prepared
  const lockRequest = { path: layout.lock, directory: root, fileMode: mode.file, ownerWaitMs }
  const lock = await acquireLock(fs, lockRequest)
  cleanups.push(() => lock.release())
  const storeId = prepareFormat(fs, prepared, mode, newStoreId)
  const runner = startRunner(settings.workers, settings.workerUrl)
  cleanups.push(() => runner.close())
  const checkpoint = CheckpointFile.open(fs, layout.checkpoint, storeId)
  cleanups.push(() => checkpoint.close())
  const backlog = new Backlog(() => performance.now())
  const found = checkpoint.state.clean
    ? null
    : await readJournal(runner, layout.journal, storeId, checkpoint.state, backlog)
  // An opening that finds damage leaves everything as it is, so nothing is changed before.
  prepareStoreDirectories(fs, prepared, mode)
  checkpoint.makeOwn(mode.file)
  sweepTemporaries(fs, layout.tmp)
  const foldName = probeNameFolding(fs, layout.tmp, mode.file)
  backlog.foldNames(foldName)
  return new OpenRoot({
    fs,
    host,
    layout,
    context: { root, storeId, modes: mode },
    runner,
    checkpoint,
    foldName,
    settings,
    backlog,
    found,
    cleanups,
  })
}

interface RootParts {
  readonly fs: FileSystem
  readonly host: BackendHost
  readonly layout: StoreLayout
  readonly context: RootContext
  readonly runner: TaskRunner
  readonly checkpoint: CheckpointFile
  readonly foldName: ((name: string) => string) | null
  readonly settings: FileSettings
  readonly backlog: Backlog
  /** What an unclean end left, now in the backlog; null after a clean one. */
  readonly found: FoundJournal | null
  readonly cleanups: Cleanup[]
}

export class OpenRoot {
  readonly checkpointer: Checkpointer
  readonly commits: GroupCommit
  readonly materializer: Materializer
  readonly source: TreeSource
  readonly conflicts: PastConflicts
  readonly #parts: RootParts
  readonly #guard: RootGuard
  readonly #runner: TaskRunner
  readonly #backlog: Backlog
  readonly #journal: Journal
  readonly #carrier: Carrier
  readonly #upkeep: Upkeep
  readonly #space: SpaceWait
  readonly #gate: BacklogGate
  readonly #earlier: EarlierSegments
  #failure: AgentStateError | null = null
  /** Set when the checkpoint says so: before that it must go on naming what was found. */
  #hasBegun = false
  /** Null where the file system keeps all names apart. */
  #spellings: NamespaceSpellings | null = null
  #preserved = 0

  constructor(parts: RootParts) {
    this.#parts = parts
    const { fs, host, context, checkpoint, layout, settings, backlog, found } = parts
    const guard = new RootGuard(fs, context.root, (lost) => this.commits.fail(lost))
    guard.watch(layout.journal)
    this.#guard = guard
    const runner = guard.guardTasks(parts.runner)
    this.#runner = runner
    this.conflicts = new PastConflicts(runner, context, () => this.#failure !== null)
    this.#earlier = findEarlierSegments(fs, layout.journal, found === null)
    const end = found?.end ?? checkpoint.state.position
    const next = { ...end, segment: this.#earlier.nextId, offset: 0 }
    const fileMode = settings.mode.file
    const { storeId } = context

    this.#backlog = backlog
    this.checkpointer = new Checkpointer(checkpoint)
    this.#space = new SpaceWait(host.limits.spaceWaitMs, async () =>
      this.#journal.hasSpare ? null : this.#journal.prepareSpare(),
    )
    const onSpace = (failure: string | null): void => this.#space.note(failure)
    const directory = layout.journal
    const journal = { fs: guard.guardOpening(), runner, directory, storeId, fileMode, onSpace }
    this.#journal = new Journal(journal, next, this.#earlier.reusable)
    this.#gate = new BacklogGate({
      backlog,
      journal: this.#journal,
      limits: host.limits,
      onWaiting: () => this.materializer.kick(),
    })
    this.commits = new GroupCommit({
      journal: this.#journal,
      backlog,
      checkpointer: this.checkpointer,
      stuckKeysMax: host.limits.stuckKeysMax,
      stuckBytesMax: host.limits.backlogBytesMax / 2,
      onFailure: (cause) => this.#fail(cause),
      onCommitted: () => this.#committed(),
      onNoRoom: () => this.#space.noteFull(),
    })
    this.materializer = new Materializer({
      backlog,
      runner,
      context,
      workers: settings.workers,
      quietMs: () => (this.commits.isIdle ? this.#journal.quietMs : 0),
      isCrowded: () => this.#gate.fill > 0.5,
      onProgress: () => this.#progressed(),
      warning: (code, message) => host.warning(code, message),
      removed: (namespace) => this.#spellings?.release(namespace),
      preserved: (namespace, key, preservedAs) => {
        this.#preserved++
        host.external(namespace, key, preservedAs)
      },
    })
    this.#carrier = new Carrier({ fs, backlog, commits: this.commits })
    this.#upkeep = new Upkeep({
      journal: this.#journal,
      backlog,
      checkpointer: this.checkpointer,
      commits: this.commits,
      carrier: this.#carrier,
      onFailure: (cause) => this.commits.fail(cause),
    })
    this.source = new TreeSource(runner, context, backlog, this.checkpointer)
    parts.cleanups.push(
      () => this.#journal.close(),
      () => this.#upkeep.stop(),
      () => this.materializer.stop(),
    )
  }

  /**
   * Makes durable anew what was found, and begins the opening. A small backlog is brought into the tree before anything is
   * served; a large one would take minutes, so the tree follows.
   */
  async start(): Promise<OpenAnswer> {
    const { foldName, found } = this.#parts
    this.#syncReusable()
    const failure = await this.#journal.start()
    if (failure !== null) throw noJournal(this.#parts.context.root, failure)
    if (this.#backlog.count > 0) await this.#carryFound()
    await this.checkpointer.begin(this.#journal)
    this.#hasBegun = true
    await this.#removeUnneeded()
    if (found !== null && this.#backlog.count <= RECOVER_AT_ONCE_MAX) await this.#tryFlush(undefined)
    if (foldName !== null) {
      const { source, commits, materializer } = this
      this.#spellings = new NamespaceSpellings(foldName, { source, commits, materializer })
      await this.#spellings.start()
    }
    // Whatever failed meanwhile: nobody gets a store that has failed already.
    if (this.#failure !== null) throw this.#failure
    // Nobody else may ever ask for it.
    if (this.#backlog.count > 0) this.materializer.kick()
    const recovered = found === null ? null : { operations: found.operations, preserved: this.#preserved }
    return { revision: this.checkpointer.revision, recovered, foldName }
  }

  /** Null, or a promise to wait for: the backlog is full, or the disk. */
  ready(): Promise<void> | null {
    if (this.#failure !== null) return null
    return this.#gate.wait() ?? this.#space.wait()
  }

  commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    return this.#spellings === null ? this.commits.commit(plans) : this.#spellings.commit(plans)
  }

  load(namespace: string): ReturnType<TreeSource['load']> {
    return (this.#spellings ?? this.source).load(namespace)
  }

  async close({ flush, onProgress }: CloseRootOptions): Promise<boolean> {
    this.#space.stop()
    await this.commits.settled()
    if (flush && this.#failure === null) await this.#tryFlush(onProgress)
    await this.materializer.stop()
    await this.#upkeep.stop()
    let flushed = this.#backlog.count === 0
    try {
      if (this.#failure === null) {
        if (flushed) this.#journal.noteDrained()
        await this.checkpointer.end(this.#journal, flushed)
      }
    } catch (error) {
      // The journal and the tree are as durable as before; the next opening recovers.
      this.#parts.host.warning('CHECKPOINT_FAILED', `closing without a checkpoint: ${String(error)}`)
      flushed = false
    }
    try {
      await cleanUp(this.#parts.cleanups)
    } catch (error) {
      // Everything was synced before: what a file has to say when it is closed changes nothing.
      this.#parts.host.warning('CLOSE_FAILED', `a file could not be closed properly: ${String(error)}`)
    }
    return flushed
  }

  metrics(): BackendMetrics {
    return {
      ...this.#journal.counts(),
      noRoomMs: this.#space.fullMs,
      backlogKeys: this.#backlog.count,
      backlogFill: this.#gate.fill,
      stuckKeys: this.#backlog.stuckCount,
      materializingMs: this.materializer.runningMs,
      materialized: this.materializer.materializedCount,
    }
  }

  /**
   * What was found is written again to new segments, because what was read of the old ones may never have reached the disk.
   * They are made durable before: a frame that is there in memory only must not be missing when a later one is on the disk.
   * Where there is no room for that, what can be brought into the tree leaves less to write.
   */
  async #carryFound(): Promise<void> {
    const { fs, layout, found } = this.#parts
    const unreadable = syncFound(fs, layout.journal, this.#earlier, found)
    if (unreadable !== null) throw notCarried({ unreadable })
    if ((await this.#carrier.carry()) === null) return
    await this.#tryFlush(undefined)
    if (this.#failure !== null) throw this.#failure
    const left = await this.#carrier.carry()
    if (left !== null) throw this.#failure ?? notCarried(left)
  }

  /** One of them may be from a process that was killed while it made it, before its opening had begun. */
  #syncReusable(): void {
    const { fs, layout } = this.#parts
    const { reusable } = this.#earlier
    if (reusable.length === 0) return
    syncSegments(
      fs,
      reusable.map(({ path }) => path),
    )
    syncDirectory(fs, layout.journal)
  }

  async #removeUnneeded(): Promise<void> {
    const { unneeded } = this.#earlier
    if (unneeded.length === 0) return
    const left = (message: string): void =>
      this.#parts.host.warning('SEGMENT_LEFT', `an old segment could not be deleted: ${message}`)
    try {
      const { failure } = await this.#runner.run({ kind: 'remove-segments', paths: unneeded })
      if (failure !== null) left(failure.message)
    } catch (error) {
      left(String(error))
    }
  }

  #committed(): void {
    this.#upkeep.appended()
    this.materializer.poke()
    this.#guard.committed()
  }

  #progressed(): void {
    if (this.#hasBegun) this.#upkeep.progressed()
    this.#gate.progressed()
  }

  async #tryFlush(onProgress: CloseRootOptions['onProgress']): Promise<void> {
    try {
      await this.materializer.flush(onProgress)
    } catch {
      // Each stuck key was warned of; closing answers that something is missing.
    }
  }

  #fail(cause: unknown): AgentStateError {
    const what = AgentStateError.is(cause, 'ROOT_UNUSABLE') ? cause.message : 'a sync of the journal failed'
    const message = `${what}: no more writes are taken; close the store and open it again`
    const error = stateError('STORE_FAILED', message, { cause })
    this.#failure = error
    void this.materializer.stop()
    void this.#upkeep.stop()
    this.#gate.open()
    this.#space.stop()
    this.#parts.host.failed(error)
    return error
  }
}
