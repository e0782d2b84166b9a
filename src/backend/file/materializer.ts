/**
 * Materializer owns the way of the backlog into the tree: which namespace's operations go to a worker when, what is done
 * about those that fail, and who waits for what. Recovery uses it as normal operation does (I6).
 *
 * - One task of a namespace at a time; up to as many tasks as there are workers.
 * - When little happens the tree follows within milliseconds. Under load it stays behind on purpose, so that repeated
 *   writes collapse and the journal has the disk to itself; but never longer than `LAG_MAX_MS`, and not once the backlog
 *   is half full.
 * - What can't be applied is *stuck*: it stays in the backlog, is tried again later and on every flush, and holds up
 *   nothing else.
 */
import { performance } from 'node:perf_hooks'
import { stateError, type AgentStateError } from '../../errors.js'
import {
  toTreeOperation,
  type Backlog,
  type NamespaceBacklog,
  type Pending,
  type PendingNamespace,
} from './backlog.js'
import type { Segment } from './journal.js'
import type { TaskRunner } from './task-runner.js'
import type { MaterializeAnswer, RootContext, TaskFailure } from './tasks.js'
import { NAMESPACE_ITSELF, TreeWaiters } from './tree-waiters.js'

/** A journal that was not appended to for so long is idle. */
const QUIET_MS = 20
const LAG_MAX_MS = 5000
const TASK_KEYS_MAX = 256
const TASK_BYTES_MAX = 8 * 1024 * 1024
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 30_000

export interface MaterializerOptions {
  readonly backlog: Backlog
  readonly runner: TaskRunner
  readonly context: RootContext
  readonly workers: number
  /** Milliseconds since the journal was last appended to; 0 while it is. */
  quietMs(): number
  /** The backlog is so large that it is worked off whatever the load. */
  isCrowded(): boolean
  /** Operations have left the backlog, or are known to be stuck. */
  onProgress(): void
  warning(code: string, message: string): void
  /** A namespace is gone from the tree. */
  removed(namespace: string): void
  preserved(namespace: string, key: string, preservedAs: string): void
}

/** What is the same for all namespaces that are looked at together. */
interface Look {
  readonly now: number
  /** When the journal will have been idle for long enough, if nothing is appended. */
  readonly quietAtMs: number
  readonly isCrowded: boolean
}

interface Taken {
  readonly change: PendingNamespace | null
  readonly entries: readonly Pending[]
}

export class Materializer {
  readonly #options: MaterializerOptions
  readonly #waiters = new TreeWaiters()
  /** When the tasks that run were begun, oldest first. */
  readonly #running = new Map<NamespaceBacklog, number>()
  #timer: NodeJS.Timeout | null = null
  #timerAtMs = Infinity
  /** Operations brought into the tree. */
  #materialized = 0
  #stopped = false
  #retryMs = RETRY_FIRST_MS
  readonly #idleWaiters: (() => void)[] = []

  constructor(options: MaterializerOptions) {
    this.#options = options
  }

  /** Something was added to the backlog. Cheap while it is known when to look at it. */
  poke(): void {
    // What was just added is not due before, unless somebody waits for it or the backlog is crowded.
    const isLookedAtSoon = this.#timer !== null && this.#timerAtMs <= performance.now() + QUIET_MS
    if (isLookedAtSoon && this.#waiters.isEmpty && !this.#options.isCrowded()) return
    this.kick()
  }

  /** Operations of keys that were brought into the tree so far. */
  get materializedCount(): number {
    return this.#materialized
  }

  /** Milliseconds for which the longest task has been running; 0: none is. */
  get runningMs(): number {
    const [beginMs] = this.#running.values()
    return beginMs === undefined ? 0 : performance.now() - beginMs
  }

  /** Starts what is due. */
  kick(): void {
    if (this.#stopped) return
    const { backlog, workers } = this.#options
    const now = performance.now()
    const looked = this.#look(now)
    let nextAtMs = Infinity
    let onlyStuck = true
    for (const namespace of backlog) {
      if (this.#running.size >= workers) return
      if (namespace.isBusy) continue
      const dueAtMs = this.#dueAtMs(namespace, looked)
      if (dueAtMs <= now) {
        void this.#materialize(namespace)
      } else {
        nextAtMs = Math.min(nextAtMs, dueAtMs)
        if (namespace.stuckCount < namespace.count) onlyStuck = false
      }
    }
    if (nextAtMs !== Infinity) this.#wakeAt(nextAtMs, now, onlyStuck)
  }

  /** Resolves when the tree shows this revision or a later one of the keys; `TREE_PENDING` if a key is stuck. */
  materialized(namespace: string, keys: readonly string[], revision: number): Promise<void> {
    const backlog = this.#options.backlog.get(namespace)
    const removal = removalOf(backlog)
    const missing = new Map<string, number>()
    for (const key of keys) {
      const pending = backlog?.entries.get(key)
      // The change that is waited for may have done nothing to this key, which an earlier one is still to reach.
      if (pending !== undefined) missing.set(key, Math.min(revision, pending.revision))
      else if (removal !== null) missing.set(NAMESPACE_ITSELF, removal.revision)
    }
    if (missing.size === 0) return Promise.resolve()
    if (this.#stopped) return Promise.reject(treePending(namespace, revision, stopped()))
    const waiting = this.#waiters.wait(namespace, missing)
    this.kick()
    return waiting.catch((failure: unknown) => {
      throw treePending(namespace, revision, failure)
    })
  }

  /** Resolves when the namespace is gone from the tree if it is being removed, or when that turns out to be stuck. */
  async untilRemoved(namespace: string): Promise<void> {
    const { change } = this.#options.backlog.get(namespace) ?? {}
    if (change?.change !== 'remove') return
    await this.materialized(namespace, [NAMESPACE_ITSELF], change.revision).catch(() => {})
  }

  /** Resolves when everything that is in the backlog now is in the tree; rejects with the first failure when all was tried. */
  async flush(onProgress?: (done: number, total: number) => void): Promise<void> {
    const { backlog } = this.#options
    if (this.#stopped && backlog.count > 0) throw stopped()
    const waits: Promise<void>[] = []
    let done = 0
    const total = backlog.count
    const step = (): void => onProgress?.(++done, total)
    for (const namespace of backlog) {
      waits.push(this.#waiters.waitForAll(namespace.name, revisionsOf(namespace), step))
    }
    this.kick()
    const results = await Promise.allSettled(waits)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  /** No further task starts; resolves when the running ones have ended. Whoever waits is told that the tree lags. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
    this.#waiters.rejectAll(stopped())
  }

  #look(now: number): Look {
    const quietAtMs = now + QUIET_MS - this.#options.quietMs()
    return { now, quietAtMs, isCrowded: this.#options.isCrowded() }
  }

  #dueAtMs(namespace: NamespaceBacklog, { now, quietAtMs, isCrowded }: Look): number {
    // What somebody waits for is tried at once, also what is stuck: the attempt ends the waiting, one way or the other.
    if (this.#waiters.has(namespace.name)) return now
    if (namespace.stuckCount === namespace.count) return namespace.retryAtMs
    if (isCrowded) return now
    if (removalOf(namespace)?.failure != null) return namespace.retryAtMs
    return Math.min(namespace.waitingSinceMs + LAG_MAX_MS, quietAtMs)
  }

  #wakeAt(atMs: number, now: number, unimportant: boolean): void {
    if (this.#timer !== null) {
      if (this.#timerAtMs <= atMs) return
      clearTimeout(this.#timer)
    }
    this.#timerAtMs = atMs
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.kick()
      },
      Math.max(1, Math.ceil(atMs - now)),
    )
    // What is only tried again from time to time keeps no process alive.
    if (unimportant) this.#timer.unref()
  }

  async #materialize(namespace: NamespaceBacklog): Promise<void> {
    const { backlog, runner, context } = this.#options
    const taken = this.#take(namespace)
    namespace.isBusy = true
    this.#running.set(namespace, performance.now())
    const held = hold(taken)
    backlog.trying(taken.entries)
    const running = runner.run({
      kind: 'materialize',
      context,
      namespace: namespace.name,
      namespaceChange: taken.change?.change ?? null,
      removedAtMs: taken.change?.removedAtMs ?? null,
      operations: taken.entries.map(toTreeOperation),
    })
    const answer = await running.catch((error: unknown) => failedWhole(taken, error))
    this.#finish(namespace, taken, answer)
    for (const segment of held) segment.holders--
    this.#running.delete(namespace)
    backlog.ended(namespace)
    this.#options.onProgress()
    this.kick()
    if (this.#running.size === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }

  /**
   * Takes what came first, and the deletions that make room for it. With a removal comes everything that was written
   * since: it deletes whatever else it finds, also what an earlier attempt, or recovery, has brought into the tree.
   */
  #take(namespace: NamespaceBacklog): Taken {
    const now = performance.now()
    const { change } = namespace
    const all = removalOf(namespace) !== null
    const retry = all || namespace.retryAtMs <= now || this.#waiters.has(namespace.name)
    const takesChange = change !== null && (change.failure === null || retry)
    const entries = new Set<Pending>()
    let bytes = 0
    let leftBehind = false
    for (const pending of namespace.entries.values()) {
      if (pending.failure !== null && !retry) continue
      if (!all && (entries.size >= TASK_KEYS_MAX || bytes >= TASK_BYTES_MAX)) {
        leftBehind = true
        break
      }
      if (pending.kind === 'write') {
        for (const deletion of namespace.deletionsFor(pending.key)) entries.add(deletion)
        bytes += pending.size
      }
      entries.add(pending)
    }
    if (!leftBehind) namespace.waitingSinceMs = now
    return { change: takesChange ? change : null, entries: [...entries] }
  }

  #finish(namespace: NamespaceBacklog, taken: Taken, answer: MaterializeAnswer): void {
    const { backlog } = this.#options
    const failures = new Map(answer.failures.map((failure) => [failure.index, failure]))
    for (const { key, preservedAs } of answer.preserved) {
      this.#options.preserved(namespace.name, key, preservedAs)
    }
    const whole = failures.get(-1)
    if (taken.change !== null) {
      if (whole === undefined) {
        const isGone = taken.change.change === 'remove' && namespace.change === taken.change
        backlog.doneNamespace(namespace, taken.change)
        if (isGone) this.#options.removed(namespace.name)
        this.#waiters.namespaceDone(namespace.name, taken.change.revision)
      } else {
        this.#stuck(namespace, taken.change, whole)
      }
    }
    // Until a removal is done, what was written since has to come with it again.
    const blocked = taken.change?.change === 'create' ? undefined : whole
    taken.entries.forEach((pending, index) => {
      const failure = failures.get(index) ?? blocked
      if (failure === undefined) {
        backlog.done(namespace, pending)
        this.#materialized++
        this.#waiters.done(namespace.name, pending.key, pending.revision)
      } else {
        this.#stuck(namespace, pending, failure)
      }
    })
    if (failures.size === 0) {
      this.#retryMs = RETRY_FIRST_MS
    } else {
      namespace.retryAtMs = performance.now() + this.#retryMs
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS)
    }
  }

  /** Whoever waits for an operation that a later one has replaced waits for that one. */
  #stuck(namespace: NamespaceBacklog, pending: Pending | PendingNamespace, failure: TaskFailure): void {
    const isNew = pending.failure === null
    if (!this.#options.backlog.failed(namespace, pending, failure)) return
    const what = 'key' in pending ? `key '${pending.key}'` : 'the directory'
    const message = `${what} of namespace '${namespace.name}' can't be brought into the tree: ${failure.message}`
    if (isNew) this.#options.warning('TREE_STUCK', `${message}; it is durable, readable, and tried again`)
    const key = 'key' in pending ? pending.key : undefined
    const error = treeStuck(namespace.name, key, message)
    if ('change' in pending && pending.change !== 'create') {
      this.#waiters.namespaceFailed(namespace.name, error)
    } else {
      this.#waiters.failed(namespace.name, key ?? NAMESPACE_ITSELF, error)
    }
  }
}

function* revisionsOf({ entries, change }: NamespaceBacklog): Iterable<readonly [string, number]> {
  for (const { key, revision } of entries.values()) yield [key, revision]
  if (change !== null) yield [NAMESPACE_ITSELF, change.revision]
}

/** The removal of the namespace that the tree does not show yet. */
function removalOf(namespace: NamespaceBacklog | undefined): PendingNamespace | null {
  const change = namespace?.change ?? null
  return change === null || change.change === 'create' ? null : change
}

/** The segments that the task reads from stay in their place while it runs. */
function hold(taken: Taken): Segment[] {
  const segments: Segment[] = []
  for (const pending of taken.entries) {
    if (pending.kind !== 'write') continue
    pending.segment.holders++
    segments.push(pending.segment)
  }
  return segments
}

function failedWhole(taken: Taken, error: unknown): MaterializeAnswer {
  const message = `the worker failed: ${error instanceof Error ? error.message : String(error)}`
  const failures: TaskFailure[] = taken.entries.map((_, index) => ({ index, code: 'UNKNOWN', message }))
  if (taken.change !== null) failures.push({ index: -1, code: 'UNKNOWN', message })
  return { failures, preserved: [] }
}

function stopped(): AgentStateError {
  const message =
    'the store has failed or was closed: what is not in the tree yet is durable, and gets there after the next open'
  return stateError('TREE_STUCK', message, {})
}

function treeStuck(namespace: string, key: string | undefined, message: string): AgentStateError {
  return stateError('TREE_STUCK', message, { namespace, key })
}

function treePending(namespace: string, revision: number, cause: unknown): AgentStateError {
  const message = `the change in namespace '${namespace}' is durable, but its files are not there yet`
  return stateError('TREE_PENDING', message, { namespace, revision, cause })
}
