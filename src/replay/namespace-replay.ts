/**
 * NamespaceReplay owns the replay of one namespace: it issues the batches to the store in the history's order, each as
 * soon as what its author had seen is known, so many are under way at once where they build on different commits. With
 * every batch it writes how far it has come, in the same atomic step, which is all that a later process needs.
 *
 * It remembers the revision of each batch of this process, one number a batch. Revisions of batches before it are looked
 * up where they are still current. Those of overwritten versions are not known any more; 0, which is before all, stands
 * for them, because what counts is that they are not the current one.
 */
import type { Operation, Session } from '../index.js'
import type { Agents, BatchResults } from './agents.js'
import type { Contents } from './contents.js'
import { PROGRESS_KEY } from './location.js'
import type { Acknowledgement, Overwrite, Progress } from './messages.js'
import { overwrittenAuthor, type Batch, type PlannedOperation } from './schedule.js'
import type { Content } from './trace.js'

const OVERWRITTEN_BEFORE = 0

export class NamespaceReplay {
  readonly #session: Promise<Session>
  readonly #agents: Agents
  readonly #contents: Contents
  readonly #durable: Progress | null
  readonly #revisions = new Map<number, Promise<number>>()
  /** Settles when the next batch may be given to the store without overtaking the one before. */
  #issued: Promise<unknown>
  #failure: unknown = null

  /** `durable`: how far an earlier process came; null: the namespace is new. */
  constructor(session: Promise<Session>, agents: Agents, contents: Contents, durable: Progress | null) {
    this.#session = session
    this.#agents = agents
    this.#contents = contents
    this.#durable = durable
    this.#issued = session
    // Whoever asks for something here learns of a failure; until then nobody listens.
    session.catch(ignore)
  }

  /** An earlier process made it durable. */
  isDone({ commit }: Batch): boolean {
    return this.#durable !== null && commit <= this.#durable.commit
  }

  /** It is the last one that an earlier process made durable. */
  isLastDone({ commit }: Batch): boolean {
    return this.#durable?.commit === commit
  }

  /**
   * Compares what an earlier process left with what the history has there. To be called before any batch; they wait for
   * it. Resolves with one sentence for each difference.
   */
  audit(expected: ReadonlyMap<string, Content>): Promise<string[]> {
    const audit = this.#issued
      .then(() => this.#session)
      .then((session) => findDifferences(session, expected, this.#contents))
    this.#issued = audit
    return audit
  }

  /** Resolves when the batch is durable. To be called in the history's order, without waiting in between. */
  async replay(batch: Batch): Promise<Acknowledgement> {
    const values = Promise.all(
      batch.operations.map(async ({ content }) => content && this.#contents.read(content)),
    )
    values.catch(ignore)
    const issued = this.#issued.then(() => this.#issue(batch, values))
    const results = issued.then(({ results }) => results)
    this.#issued = this.#agents.keepOrder ? issued : results
    const revision = results.then(revisionOf)
    revision.catch(ignore)
    this.#revisions.set(batch.commit, revision)
    try {
      return toAcknowledgement(batch, await revision, await results)
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  /** The results are wrapped, so that waiting for the issue does not wait for them. */
  async #issue(
    batch: Batch,
    values: Promise<readonly (Uint8Array | null)[]>,
  ): Promise<{ readonly results: Promise<BatchResults> }> {
    const session = await this.#session
    const seen = await Promise.all(
      batch.operations.map((operation) => this.#seenRevision(session, operation)),
    )
    const contents = await values
    // Going on behind a failed batch would claim in the progress that it was done.
    if (this.#failure !== null) throw this.#failure
    const operations = batch.operations.map(({ key }, index): Operation => {
      const value = contents[index] ?? null
      const seenRevision = seen[index]
      return value === null ? { delete: key, seenRevision } : { write: key, value, seenRevision }
    })
    const progress: Operation = { write: PROGRESS_KEY, value: formatProgress(batch.commit) }
    return { results: this.#agents.batch(session, batch.author, [...operations, progress]) }
  }

  async #seenRevision(session: Session, { key, seen, current }: PlannedOperation): Promise<number | null> {
    if (seen === null) return null
    const known = this.#revisions.get(seen)
    if (known !== undefined) return known
    if (current?.commit !== seen) return OVERWRITTEN_BEFORE
    const stat = await session.stat(key)
    if (stat === null) throw new Error(`${session.namespace}/${key} is missing, which commit ${seen} wrote`)
    this.#revisions.set(seen, Promise.resolve(stat.revision))
    return stat.revision
  }
}

async function findDifferences(
  session: Session,
  expected: ReadonlyMap<string, Content>,
  contents: Contents,
): Promise<string[]> {
  const differences: string[] = []
  const missing = new Set(expected.keys())
  for await (const { key, value } of session.entries()) {
    if (key === PROGRESS_KEY) continue
    const content = expected.get(key)
    missing.delete(key)
    if (content === undefined) {
      differences.push(`${key} should not be there`)
    } else if (Buffer.compare(value, await contents.read(content)) !== 0) {
      differences.push(`${key} has another value`)
    }
  }
  for (const key of missing) differences.push(`${key} is missing`)
  return differences
}

/** How far the replay of a namespace has come; null: not begun. */
export async function readProgress(session: Session): Promise<Progress | null> {
  const entry = await session.entry(PROGRESS_KEY)
  if (entry === null) return null
  const { commit } = JSON.parse(Buffer.from(entry.value).toString('utf8')) as { commit: number }
  return { namespace: session.namespace, commit, revision: entry.revision }
}

function formatProgress(commit: number): string {
  return `${JSON.stringify({ commit })}\n`
}

/** All operations of a batch share one revision; the progress, which is always written, is the last of them. */
function revisionOf(results: BatchResults): number {
  const revision = results[results.length - 1]?.revision
  if (typeof revision !== 'number') throw new Error('a batch was acknowledged without a revision')
  return revision
}

/** Authors also take turns in writing the progress; that is bookkeeping and no overwriting, so its result is left out. */
function toAcknowledgement(batch: Batch, revision: number, results: BatchResults): Acknowledgement {
  const { namespace, commit, author, operations } = batch
  const overwrites: Overwrite[] = []
  const wrongConflicts: string[] = []
  operations.forEach((operation, index) => {
    const conflict = results[index]?.conflict ?? null
    const over = conflict?.previous?.writerId ?? null
    if (conflict !== null) overwrites.push({ namespace, key: operation.key, by: author, over })
    if (!isExpected(operation, author, conflict !== null, over)) {
      const reported = conflict === null ? 'no conflict' : `a conflict with ${over ?? 'nobody'}`
      wrongConflicts.push(`${namespace}/${operation.key}: commit ${commit} by ${author} met ${reported}`)
    }
  })
  return { namespace, commit, revision, operations: operations.length, overwrites, wrongConflicts }
}

/** Whether the history has the conflict that was reported, or has none either. */
function isExpected(
  operation: PlannedOperation,
  author: string,
  isConflict: boolean,
  over: string | null,
): boolean {
  // Changing what somebody deleted is a conflict unless the author did that, which the history does not tell here.
  if (operation.current === null) return operation.seen !== null || !isConflict
  return over === overwrittenAuthor(operation, author) && isConflict === (over !== null)
}

function ignore(): void {}
