/**
 * Reading below the coordinator's memory: an entry that is not in the tree yet comes from the journal, any other from its
 * file. Both are read by a worker, so that a slow disk does not hold up the event loop.
 */
import type { Head, HeadAnswer, ReadAnswer } from '../backend.js'
import { SHARING_BYTES_MAX } from '../../byte-slab.js'
import { AgentStateError, stateError } from '../../errors.js'
import type { Backlog, Pending, PendingWrite } from './backlog.js'
import type { Checkpointer } from './checkpointer.js'
import { namespaceDirectory } from './layout.js'
import { ReadQueue, type TreeRead } from './read-queue.js'
import type { TaskRunner } from './task-runner.js'
import type {
  ReadTaskEntry,
  RootContext,
  Task,
  TaskAnswers,
  TaskHeadAnswer,
  TaskReadAnswer,
} from './tasks.js'

type ReadingKind = 'heads' | 'read' | 'scan-namespace' | 'list-namespaces'

export class TreeSource {
  readonly #runner: TaskRunner
  readonly #context: RootContext
  readonly #backlog: Backlog
  readonly #checkpointer: Checkpointer
  readonly #reads = new ReadQueue((reads) => this.#readTogether(reads))

  constructor(runner: TaskRunner, context: RootContext, backlog: Backlog, checkpointer: Checkpointer) {
    this.#runner = runner
    this.#context = context
    this.#backlog = backlog
    this.#checkpointer = checkpointer
  }

  /** Names of all namespaces: those in the tree, and what the backlog does to them. */
  async namespaces(): Promise<readonly string[]> {
    const changes = [...this.#backlog].map(({ name, change }) => ({ name, change: change?.change ?? null }))
    const names = new Set(await this.#run({ kind: 'list-namespaces', context: this.#context }))
    for (const { name, change } of changes) {
      if (change === 'remove') names.delete(name)
      else names.add(name)
    }
    return [...names]
  }

  /** What the tree has, and what was in the backlog before it was looked at; no commit comes in between. */
  async load(namespace: string): Promise<{ exists: boolean; keys: readonly string[] }> {
    const backlog = this.#backlog.get(namespace)
    const change = backlog?.change?.change ?? null
    const pending = [...(backlog?.entries.values() ?? [])]
    const scanned = await this.#run({ kind: 'scan-namespace', context: this.#context, namespace })
    if (scanned.failure !== null) {
      const { code, path, message } = scanned.failure
      throw readFailed(namespace, undefined, path, code, message)
    }
    const removed = change === 'remove' || change === 'recreate'
    const keys = new Set(removed ? [] : scanned.keys)
    for (const { kind, key } of pending) {
      if (kind === 'write') keys.add(key)
      else keys.delete(key)
    }
    const exists = change === null ? scanned.exists || pending.length > 0 : change !== 'remove'
    return { exists, keys: [...keys] }
  }

  async heads(namespace: string, keys: readonly string[]): Promise<readonly HeadAnswer[]> {
    const pending = keys.map((key) => this.#pending(namespace, key))
    const answers: HeadAnswer[] = pending.map((found) => (found == null ? null : headOf(found)))
    const inTree = keys.filter((_, index) => pending[index] === undefined)
    if (inTree.length === 0) return answers
    const { ceiling, epoch } = this.#checkpointer
    const context = this.#context
    const found = await this.#run({ kind: 'heads', context, namespace, keys: inTree, ceiling, epoch })
    let next = 0
    return answers.map((answer, index) =>
      pending[index] === undefined ? toHead(namespace, keys[index]!, found[next++]!) : answer,
    )
  }

  read(namespace: string, keys: readonly string[]): Promise<readonly ReadAnswer[]> {
    return this.#reads.read(namespace, keys)
  }

  /** Answers as many as there is room for, from the first on. */
  async #readTogether(reads: readonly TreeRead[]): Promise<readonly ReadAnswer[]> {
    const pending = reads.map(({ namespace, key }) => this.#pending(namespace, key))
    const held = pending.flatMap((found) => (found == null ? [] : [found.segment]))
    for (const segment of held) segment.holders++
    try {
      const entries = reads.map((read, index) => entryOf(read, pending[index] ?? null))
      const { ceiling, epoch } = this.#checkpointer
      const task = { kind: 'read', context: this.#context, entries, ceiling, epoch } as const
      const { answers, bytes } = await this.#run(task)
      const isShared = isWorthSharing(answers, bytes)
      const later = answers.findIndex(({ status }) => status === 'later')
      return reads.slice(0, later === -1 ? reads.length : later).map((read, index): ReadAnswer => {
        const known = pending[index]
        // Whatever is still at the path of a key that was deleted.
        if (known === null) return { head: null, value: null }
        return toRead(read, answers[index]!, { bytes, isShared }, known ?? null)
      })
    } finally {
      for (const segment of held) segment.holders--
    }
  }

  /** What keeps a whole task from being answered says nothing of what is there: it is a read that failed. */
  async #run<K extends ReadingKind>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]> {
    try {
      return await this.#runner.run(task)
    } catch (error) {
      if (AgentStateError.is(error)) throw error
      const { root } = this.#context
      const { namespace, key } = subjectOf(task)
      const path = namespace === undefined ? root : namespaceDirectory(root, namespace)
      throw readFailed(namespace, key, path, error, error instanceof Error ? error.message : String(error))
    }
  }

  /** The write that is not in the tree yet; null for a deletion, undefined if the tree has the key's last change. */
  #pending(namespace: string, key: string): PendingWrite | null | undefined {
    const backlog = this.#backlog.get(namespace)
    if (backlog === undefined) return undefined
    const found: Pending | undefined = backlog.entries.get(key)
    if (found !== undefined) return found.kind === 'write' ? found : null
    const removed = backlog.change !== null && backlog.change.change !== 'create'
    return removed ? null : undefined
  }
}

/** What a task is about, as far as it is about one thing. */
function subjectOf(task: Extract<Task, { kind: ReadingKind }>): { namespace?: string; key?: string } {
  if (task.kind === 'list-namespaces') return {}
  if (task.kind !== 'read') return { namespace: task.namespace }
  return task.entries.length === 1 ? task.entries[0]! : {}
}

function headOf(write: PendingWrite): Head {
  const { revision, writer, writerAtS, anonymous, size, atMs } = write
  return { revision, writer, writerAtS, anonymous, external: false, size, updatedAtMs: atMs }
}

function toHead(namespace: string, key: string, answer: TaskHeadAnswer): HeadAnswer {
  switch (answer.status) {
    case 'missing':
      return null
    case 'found':
      return answer.head
    case 'corrupt-metadata':
      return { corrupt: answer.path, head: answer.head }
    case 'failed':
      return { unreadable: readFailed(namespace, key, answer.path, answer.code, answer.message) }
  }
}

function entryOf({ namespace, key }: TreeRead, pending: PendingWrite | null): ReadTaskEntry {
  if (pending === null) return { namespace, key }
  const { segment, position, size, crc } = pending
  return { namespace, key, value: { segment: segment.path, position, size, crc } }
}

function toRead(
  { namespace, key }: TreeRead,
  answer: TaskReadAnswer,
  values: ReadValues,
  pending: PendingWrite | null,
): ReadAnswer {
  const known = pending === null ? null : headOf(pending)
  switch (answer.status) {
    case 'missing':
    case 'later':
      return { head: null, value: null }
    case 'found': {
      const head = known ?? answer.head
      const value = valueIn(values, answer.start, answer.size)
      if (head === null || answer.corruptMetadata === null) return { head, value }
      return { head: { corrupt: answer.corruptMetadata, head }, value }
    }
    case 'corrupt':
      return { head: known ?? answer.head, value: null, error: corrupt(namespace, key, answer) }
    case 'failed': {
      const error = readFailed(namespace, key, answer.path, answer.code, answer.message)
      return { head: { unreadable: error }, value: null }
    }
  }
}

/** The values of an answer. */
interface ReadValues {
  readonly bytes: Uint8Array
  /** Small ones may stay where they are, and keep the others in memory. */
  readonly isShared: boolean
}

const SHARED_ANSWER_BYTES_MAX = 64 * 1024

/** Whether small values are most of the answer, and that is not so much that a few of them would keep a lot. */
function isWorthSharing(answers: readonly TaskReadAnswer[], { length }: Uint8Array): boolean {
  if (length > SHARED_ANSWER_BYTES_MAX) return false
  let small = 0
  for (const answer of answers) {
    if (answer.status === 'found' && answer.size <= SHARING_BYTES_MAX) small += answer.size
  }
  return small * 2 >= length
}

function valueIn({ bytes, isShared }: ReadValues, start: number, size: number): Uint8Array {
  const end = start + size
  if (isShared && size > 0 && size <= SHARING_BYTES_MAX) return bytes.subarray(start, end)
  return Uint8Array.prototype.slice.call(bytes, start, end)
}

function corrupt(
  namespace: string,
  key: string,
  answer: Extract<TaskReadAnswer, { status: 'corrupt' }>,
): AgentStateError {
  const { path, offset } = answer
  const message = `the value of key '${key}' in namespace '${namespace}' is damaged: ${path}`
  return offset === null
    ? stateError('CONTENT_CORRUPT', message, { namespace, key, path })
    : stateError('JOURNAL_CORRUPT', message, { namespace, key, path, offset })
}

function readFailed(
  namespace: string | undefined,
  key: string | undefined,
  path: string,
  cause: unknown,
  message: string,
): AgentStateError {
  return stateError('READ_FAILED', `can't read ${path}: ${message}`, { namespace, key, path, cause })
}
