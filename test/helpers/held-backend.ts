/**
 * A backend between a store and a memory backend. A test takes each commit in its hands: lets it through, answers in
 * its place, or leaves it waiting; so that what happens before an acknowledgement can be looked at.
 */
import type {
  Backend,
  BackendHost,
  BackendSupports,
  CommitOutcome,
  HeadAnswer,
  OpenAnswer,
  Plan,
  ReadAnswer,
} from '../../src/backend/backend.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { deferred } from '../../src/contract/observe.js'

export interface HeldCommit {
  readonly plans: readonly Plan[]
  /** Commits for real and lets the store know. */
  proceed(): Promise<void>
  /** Answers without committing anything. */
  answer(outcomes: readonly CommitOutcome[]): void
  /** Answers every plan alike, without committing anything. */
  answerAll(outcome: CommitOutcome): void
  /** What a backend must never do. */
  reject(error: unknown): void
}

export class HeldBackend implements Backend {
  readonly name = 'held'
  readonly supports: BackendSupports
  readonly #inner: Backend
  readonly #arrived: HeldCommit[] = []
  readonly #waiting: ((commit: HeldCommit) => void)[] = []
  /** While true, commits wait for the test. */
  holds = false
  host!: BackendHost
  /** What the next calls of `ready` give. */
  readyPromise: Promise<void> | null = null
  commits = 0

  constructor(supports: Partial<BackendSupports> = {}, inner: Backend = memoryBackend()) {
    this.#inner = inner
    this.supports = { exclusive: true, commitsInFlight: 1, ...supports }
  }

  /** The next commit that waits for the test. */
  nextCommit(): Promise<HeldCommit> {
    const arrived = this.#arrived.shift()
    if (arrived !== undefined) return Promise.resolve(arrived)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Commits that wait and that nobody has asked for. */
  get arrivedCount(): number {
    return this.#arrived.length
  }

  commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    this.commits += 1
    if (!this.holds) return this.#inner.commit(plans)
    const outcome = deferred<readonly CommitOutcome[]>()
    const held: HeldCommit = {
      plans,
      proceed: async () => outcome.resolve(await this.#inner.commit(plans)),
      answer: (outcomes) => outcome.resolve(outcomes),
      answerAll: (one) => outcome.resolve(plans.map(() => one)),
      reject: (error) => outcome.reject(error),
    }
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#arrived.push(held)
    else waiting(held)
    return outcome.promise
  }

  open(host: BackendHost): Promise<OpenAnswer> {
    this.host = host
    return this.#inner.open(host)
  }

  ready(): Promise<void> | null {
    return this.readyPromise
  }

  allocateRevision(): number {
    return this.#inner.allocateRevision()
  }

  namespaces(): Promise<readonly string[]> {
    return this.#inner.namespaces()
  }

  load(namespace: string): Promise<{ readonly exists: boolean; readonly keys: readonly string[] }> {
    return this.#inner.load(namespace)
  }

  heads(namespace: string, keys: readonly string[]): Promise<readonly HeadAnswer[]> {
    return this.#inner.heads(namespace, keys)
  }

  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    return this.#inner.read(namespace, keys)
  }

  materialized(namespace: string, keys: readonly string[], revision: number): Promise<void> {
    return this.#inner.materialized(namespace, keys, revision)
  }

  flush(onProgress?: (done: number, total: number) => void): Promise<void> {
    return this.#inner.flush(onProgress)
  }

  close(options: { flush: boolean }): Promise<boolean> {
    return this.#inner.close(options)
  }
}
