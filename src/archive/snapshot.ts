/**
 * Reads a whole namespace as it was at one revision, while others go on writing.
 *
 * The store keeps no old values, so what changed while it was read is read again, until nothing had changed between two
 * looks at the history of changes. Then for every key the revision that is held is that of its last change up to the
 * snapshot's revision: a key that was read too late to show an earlier value is in that history, and is read again. Only
 * keys that change faster than they can be read together keep it from ending; it says so after many rounds.
 */
import { crc32 } from 'node:zlib'
import { AgentStateError, type Entry, type Session, type Stat } from '../index.js'
import { asKey } from './as-key.js'
import type { Spool, SpoolPlace } from './spool.js'

/** An entry of which the value is in a spool. */
export interface HeldEntry {
  readonly stat: Stat
  readonly crc: number
  readonly place: SpoolPlace
}

export interface Snapshot {
  readonly namespace: string
  /** Of the namespace's last change that is in it; later ones are not. */
  readonly revision: number
  /** By key, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, HeldEntry>
}

export interface SnapshotOptions {
  readonly signal: AbortSignal
  /** Keys that are held, of those known. */
  readonly onProgress: (done: number, total: number) => void
}

/** A namespace changes faster than it can be read. */
export class TooBusyError extends Error {
  override readonly name = 'TooBusyError'
}

const ROUNDS_MAX = 500

export async function takeSnapshot(
  session: Session,
  spool: Spool,
  options: SnapshotOptions,
): Promise<Snapshot> {
  const { signal, onProgress } = options
  const held = new Map<string, HeldEntry>()
  let { revision, heads } = await collectHeads(session, signal)
  let stale: Iterable<string> = heads.keys()
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await hold(session, spool, held, [...stale], {
      signal,
      onProgress: (done) => onProgress(done, heads.size),
    })
    const changes = await changesAfter(session, revision, signal)
    if (changes === null) {
      ;({ revision, heads } = await collectHeads(session, signal))
      for (const key of held.keys()) if (!heads.has(key)) held.delete(key)
      stale = staleKeys(heads, held)
      continue
    }
    revision = changes.revision
    const left = staleKeys(changes.latest, held)
    if (left.length === 0) return { namespace: session.namespace, revision, entries: inOrder(held) }
    stale = left
  }
  throw new TooBusyError(`namespace '${session.namespace}' changes faster than it can be read`)
}

/** Keys of which something else is held than their last change. */
function staleKeys(
  latest: ReadonlyMap<string, number | null>,
  held: ReadonlyMap<string, HeldEntry>,
): string[] {
  return [...latest].flatMap(([key, revision]) =>
    (held.get(key)?.stat.revision ?? null) === revision ? [] : [key],
  )
}

/** What is there now, without values. `revision`: changes after it may be missing. */
async function collectHeads(
  session: Session,
  signal: AbortSignal,
): Promise<{ revision: number; heads: Map<string, number> }> {
  const heads = new Map<string, number>()
  for await (const item of session.watch({ initial: true, signal })) {
    if (item.type === 'ready') return { revision: item.revision, heads }
    heads.set(item.key, item.revision)
  }
  signal.throwIfAborted()
  throw new Error('the store was closed')
}

/** Of each key that changed after a revision its last change, null for a deletion. Null: it is not in memory any more. */
async function changesAfter(
  session: Session,
  afterRevision: number,
  signal: AbortSignal,
): Promise<{ revision: number; latest: Map<string, number | null> } | null> {
  const latest = new Map<string, number | null>()
  let revision = afterRevision
  try {
    // What is there follows on all that was in the history when the watch began, so its first item ends them.
    for await (const item of session.watch({ afterRevision, initial: true, signal })) {
      if (item.type !== 'change') return { revision, latest }
      latest.set(item.key, item.kind === 'delete' ? null : item.revision)
      revision = Math.max(revision, item.revision)
    }
  } catch (error) {
    if (AgentStateError.is(error, 'REVISION_COMPACTED')) return null
    throw error
  }
  signal.throwIfAborted()
  throw new Error('the store was closed')
}

/** Values that are asked for at once: few where they may be large, many where that is known to be otherwise. */
const UNKNOWN_SIZE = 1024 * 1024
const AT_ONCE_BYTES = 16 * 1024 * 1024
const AT_ONCE_MAX = 512

async function hold(
  session: Session,
  spool: Spool,
  held: Map<string, HeldEntry>,
  keys: readonly string[],
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void },
): Promise<void> {
  for (const some of groups(keys, (key) => held.get(key)?.stat.size ?? UNKNOWN_SIZE)) {
    const entries = await Promise.all(some.map((key) => session.entry(asKey(key), { signal })))
    for (const [index, entry] of entries.entries()) {
      const key = some[index]!
      if (entry === null) held.delete(key)
      else held.set(key, await holdEntry(spool, entry))
    }
    onProgress(held.size)
  }
}

async function holdEntry(spool: Spool, { value, ...stat }: Entry): Promise<HeldEntry> {
  return { stat, crc: crc32(value), place: await spool.add(value) }
}

function* groups(keys: readonly string[], sizeOf: (key: string) => number): Generator<string[]> {
  let group: string[] = []
  let bytes = 0
  for (const key of keys) {
    const size = sizeOf(key)
    if (group.length > 0 && (bytes + size > AT_ONCE_BYTES || group.length >= AT_ONCE_MAX)) {
      yield group
      group = []
      bytes = 0
    }
    group.push(key)
    bytes += size
  }
  if (group.length > 0) yield group
}

function inOrder(held: ReadonlyMap<string, HeldEntry>): Map<string, HeldEntry> {
  return new Map([...held].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
}
