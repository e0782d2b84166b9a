/**
 * Backlog owns what is durable in the journal and not in the tree yet: the latest operation of every such key. Repeated
 * writes of a key collapse here. Filled by commits and by recovery alike (I6); emptied by the materializer.
 *
 * - An operation holds the segment that its value lies in until it is in the tree, or a later one of its key replaced it.
 * - Operations of a namespace are taken in the order in which their keys came or failed, so that none is overtaken for
 *   ever; but never the write of `a/b` before the deletion of `a` that made room for it, nor the other way round; and where the file
 *   system ignores case, say, never the write of `a` before the deletion of `A`.
 */
import type { Writer } from '../../api.js'
import { FoldedDeletions } from './folded-deletions.js'
import type { Segment } from './journal.js'
import { KnownContents } from './known-contents.js'
import type { JournalRecord, MaterializeTask, TaskFailure, TreeOperation } from './tasks.js'

export type NamespaceChange = MaterializeTask['namespaceChange']

interface PendingBase {
  readonly key: string
  readonly revision: number
  readonly atMs: number
  /** Where the record lies now; changed when it is carried into a newer segment. */
  segment: Segment
  /** Why it could not be applied when that was last tried. */
  failure: TaskFailure | null
  /** Contents that the key had according to the journal; of one that was recovered, and of what takes its place. */
  known: KnownContents | null
}

export interface PendingWrite extends PendingBase {
  readonly kind: 'write'
  readonly writer: Writer | null
  readonly writerAtS: number | null
  readonly anonymous: boolean
  readonly size: number
  readonly crc: number
  position: number
}

export interface PendingDelete extends PendingBase {
  readonly kind: 'delete'
}

export type Pending = PendingWrite | PendingDelete

/** The creation or removal of a namespace that is not in the tree. */
export interface PendingNamespace {
  readonly change: Exclude<NamespaceChange, null>
  readonly revision: number
  readonly atMs: number
  /** When it was removed, if it was. */
  readonly removedAtMs: number | null
  segment: Segment
  failure: TaskFailure | null
}

type FoldName = ((name: string) => string) | null

export class NamespaceBacklog {
  readonly name: string
  change: PendingNamespace | null = null
  readonly entries = new Map<string, Pending>()
  /** Of keys that a recovered removal dropped: the tree may still hold what they had. */
  readonly knownBefore = new Map<string, KnownContents>()
  /** Of each directory, how many deletions below it are pending. */
  readonly #deletionsBelow = new Map<string, number>()
  /** Null where the file system keeps all names apart. */
  #foldedDeletions: FoldedDeletions<Pending> | null = null
  /** A task of this namespace is running. */
  isBusy = false
  /** Since when something waits, and when what failed may be tried again; milliseconds of a monotonic clock. */
  waitingSinceMs: number
  retryAtMs = 0
  stuckCount = 0

  constructor(name: string, nowMs: number, fold: FoldName) {
    this.name = name
    this.waitingSinceMs = nowMs
    this.foldNames(fold)
  }

  foldNames(fold: FoldName): void {
    if (fold === null) return
    this.#foldedDeletions = new FoldedDeletions(fold)
    for (const pending of this.entries.values()) {
      if (pending.kind === 'delete') this.#foldedDeletions.add(pending)
    }
  }

  get count(): number {
    return this.entries.size + (this.change === null ? 0 : 1)
  }

  set(pending: Pending): void {
    const before = this.entries.get(pending.key)
    if (before?.kind === 'delete') this.#countDeletion(before, -1)
    if (pending.kind === 'delete') this.#countDeletion(pending, 1)
    this.entries.set(pending.key, pending)
  }

  delete(pending: Pending): void {
    this.entries.delete(pending.key)
    if (pending.kind === 'delete') this.#countDeletion(pending, -1)
  }

  /** So that the others get their turn: of those that fail again and again there may be more than one task takes. */
  putBehind(pending: Pending): void {
    this.entries.delete(pending.key)
    this.entries.set(pending.key, pending)
  }

  /**
   * The deletions that make room for a write of the key: of a file in a directory's place, of files below it, or of what
   * has the same path under another spelling.
   */
  *deletionsFor(key: string): Iterable<Pending> {
    for (const directory of ancestors(key)) {
      const pending = this.entries.get(directory)
      if (pending?.kind === 'delete') yield pending
    }
    if (this.#foldedDeletions !== null) yield* this.#foldedDeletions.otherSpellingsOf(key)
    if (!this.#deletionsBelow.has(key)) return
    for (const pending of this.entries.values()) {
      if (pending.kind === 'delete' && pending.key.startsWith(`${key}/`)) yield pending
    }
  }

  #countDeletion(deletion: Pending, step: 1 | -1): void {
    if (step === 1) this.#foldedDeletions?.add(deletion)
    else this.#foldedDeletions?.remove(deletion)
    for (const directory of ancestors(deletion.key)) {
      const count = (this.#deletionsBelow.get(directory) ?? 0) + step
      if (count === 0) this.#deletionsBelow.delete(directory)
      else this.#deletionsBelow.set(directory, count)
    }
  }
}

function* ancestors(key: string): Iterable<string> {
  for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) yield key.slice(0, end)
}

export class Backlog {
  readonly #namespaces = new Map<string, NamespaceBacklog>()
  readonly #now: () => number
  #fold: FoldName = null
  #count = 0
  #bytes = 0
  #stuckCount = 0
  #stuckBytes = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** From now on names that give the same result are one to the file system. */
  foldNames(fold: FoldName): void {
    this.#fold = fold
    for (const namespace of this) namespace.foldNames(fold)
  }

  /** Keys and namespaces that are not in the tree. */
  get count(): number {
    return this.#count
  }

  /** About what their records take in the journal. */
  get bytes(): number {
    return this.#bytes
  }

  /** Of these, the ones that could not be applied. */
  get stuckCount(): number {
    return this.#stuckCount
  }

  /** About what those take in the journal. */
  get stuckBytes(): number {
    return this.#stuckBytes
  }

  get(namespace: string): NamespaceBacklog | undefined {
    return this.#namespaces.get(namespace)
  }

  find(namespace: string, key: string): Pending | undefined {
    return this.#namespaces.get(namespace)?.entries.get(key)
  }

  [Symbol.iterator](): Iterator<NamespaceBacklog> {
    return this.#namespaces.values()
  }

  addWrite(namespace: string, write: Omit<PendingWrite, 'kind' | 'failure' | 'known'>): void {
    const { key, revision, atMs, segment, writer, writerAtS, anonymous, size, crc, position } = write
    // Field by field: copying with a spread takes several times as long, and this is done for every write.
    this.#addPending(namespace, {
      kind: 'write',
      key,
      revision,
      atMs,
      segment,
      failure: null,
      known: null,
      writer,
      writerAtS,
      anonymous,
      size,
      crc,
      position,
    })
  }

  addDelete(namespace: string, change: Pick<PendingDelete, 'key' | 'revision' | 'atMs' | 'segment'>): void {
    this.#addPending(namespace, { kind: 'delete', failure: null, known: null, ...change })
  }

  /** Behind a removal that the tree does not show, both are one change, and the removal's segment is the one that is needed. */
  addCreate(namespace: string, revision: number, atMs: number, segment: Segment): void {
    const backlog = this.#namespace(namespace)
    const before = backlog.change
    if (before === null || before.change === 'create') {
      this.#setChange(backlog, {
        change: 'create',
        revision,
        atMs,
        removedAtMs: null,
        segment,
        failure: null,
      })
    } else {
      const { segment: oldest, removedAtMs } = before
      const change = {
        change: 'recreate',
        revision,
        atMs,
        removedAtMs,
        segment: oldest,
        failure: null,
      } as const
      this.#setChange(backlog, change)
    }
  }

  /** A removal takes the place of what came before it. Recovery may meet it behind later operations, where it was carried. */
  addRemove(namespace: string, revision: number, atMs: number, segment: Segment): void {
    const backlog = this.#namespace(namespace)
    for (const pending of backlog.entries.values()) {
      if (pending.revision > revision) continue
      backlog.delete(pending)
      this.#drop(backlog, pending)
    }
    const change = { change: 'remove', revision, atMs, removedAtMs: atMs, segment, failure: null } as const
    this.#setChange(backlog, change)
  }

  /** A record found by recovery: as a commit's, unless a later one of the key is known already. */
  addRecovered(record: JournalRecord, segmentOf: (id: number | null) => Segment): void {
    const { namespace, revision, atMs, body } = record
    const backlog = this.#namespaces.get(namespace)
    const removed = backlog?.change?.change !== 'create' ? (backlog?.change?.revision ?? -1) : -1
    if (revision < removed) return
    if (body.kind === 'create') return this.addCreate(namespace, revision, atMs, segmentOf(null))
    if (body.kind === 'remove') {
      for (const { key, known } of backlog?.entries.values() ?? []) {
        if (known !== null) backlog!.knownBefore.set(key, known)
      }
      return this.addRemove(namespace, revision, atMs, segmentOf(null))
    }
    const before = backlog?.entries.get(body.key)
    if (body.kind === 'superseded') {
      before?.known?.addPacked(body.contents)
      return
    }
    if (before !== undefined && before.revision > revision) return
    const known = before?.known ?? backlog?.knownBefore.get(body.key) ?? new KnownContents()
    if (body.kind === 'delete') {
      this.addDelete(namespace, { key: body.key, revision, atMs, segment: segmentOf(null) })
    } else {
      known.add(body)
      this.addWrite(namespace, { ...body, revision, atMs, segment: segmentOf(body.segment) })
    }
    this.find(namespace, body.key)!.known = known
  }

  /** The operations are about to be tried: what is left of them if that is cut off is known from now on. */
  trying(operations: readonly Pending[]): void {
    for (const pending of operations) if (pending.kind === 'write') pending.known?.include(pending)
  }

  /** The operation is in the tree: it leaves, unless a later one has taken its place. */
  done(backlog: NamespaceBacklog, pending: Pending): void {
    if (backlog.entries.get(pending.key) !== pending) return
    backlog.delete(pending)
    this.#drop(backlog, pending)
    this.#forgetIfEmpty(backlog)
  }

  doneNamespace(backlog: NamespaceBacklog, change: PendingNamespace): void {
    if (backlog.change !== change) return
    this.#dropChange(backlog)
    this.#forgetIfEmpty(backlog)
  }

  /** False: a later one has taken its place, which was not tried yet. */
  failed(backlog: NamespaceBacklog, pending: Pending | PendingNamespace, failure: TaskFailure): boolean {
    const current = 'key' in pending ? backlog.entries.get(pending.key) : backlog.change
    if (current !== pending) return false
    if ('key' in pending) backlog.putBehind(pending)
    if (pending.failure === null) {
      backlog.stuckCount++
      this.#stuckCount++
      if ('key' in pending) this.#stuckBytes += recordBytes(pending)
    }
    pending.failure = failure
    return true
  }

  /** Lays the record down in another segment. */
  move(pending: Pending | PendingNamespace, segment: Segment, position: number): void {
    segment.holders++
    pending.segment.holders--
    pending.segment = segment
    if ('kind' in pending && pending.kind === 'write') pending.position = position
  }

  #addPending(namespace: string, pending: Pending): void {
    const backlog = this.#namespace(namespace)
    const before = backlog.entries.get(pending.key)
    if (before !== undefined) {
      pending.known = before.known
      this.#drop(backlog, before)
    }
    backlog.set(pending)
    pending.segment.holders++
    this.#count++
    this.#bytes += recordBytes(pending)
  }

  #setChange(backlog: NamespaceBacklog, change: PendingNamespace): void {
    change.segment.holders++
    this.#count++
    this.#dropChange(backlog)
    backlog.change = change
  }

  #dropChange(backlog: NamespaceBacklog): void {
    if (backlog.change === null) return
    this.#drop(backlog, backlog.change)
    backlog.change = null
  }

  #drop(backlog: NamespaceBacklog, pending: Pending | PendingNamespace): void {
    pending.segment.holders--
    this.#count--
    if ('key' in pending) this.#bytes -= recordBytes(pending)
    if (pending.failure === null) return
    backlog.stuckCount--
    this.#stuckCount--
    if ('key' in pending) this.#stuckBytes -= recordBytes(pending)
  }

  #namespace(name: string): NamespaceBacklog {
    let backlog = this.#namespaces.get(name)
    if (backlog === undefined) {
      backlog = new NamespaceBacklog(name, this.#now(), this.#fold)
      this.#namespaces.set(name, backlog)
    }
    return backlog
  }

  #forgetIfEmpty(backlog: NamespaceBacklog): void {
    if (backlog.count === 0 && !backlog.isBusy) this.#namespaces.delete(backlog.name)
  }

  /** A busy namespace is kept while its task runs; called when the task has ended. */
  ended(backlog: NamespaceBacklog): void {
    backlog.isBusy = false
    this.#forgetIfEmpty(backlog)
    if (backlog.count === 0) return
    // Behind the others, so that namespaces take turns.
    this.#namespaces.delete(backlog.name)
    this.#namespaces.set(backlog.name, backlog)
  }
}

/** A record has some fields besides its key and value. */
const RECORD_BYTES = 96

function recordBytes(pending: Pending): number {
  return RECORD_BYTES + pending.key.length + (pending.kind === 'write' ? pending.size : 0)
}

/** The operation as a worker gets it. */
export function toTreeOperation(pending: Pending): TreeOperation {
  const { key, revision, known } = pending
  const recovered = known === null ? {} : { known: known.packed() }
  if (pending.kind === 'delete') return { kind: 'delete', key, revision, ...recovered }
  const { atMs, writer, writerAtS, anonymous, segment, position, size, crc } = pending
  const value = { segment: segment.path, position, size, crc }
  return { kind: 'write', key, revision, atMs, writer, writerAtS, anonymous, value, ...recovered }
}
