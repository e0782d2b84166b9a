/**
 * Reads a whole namespace as it was at one revision, while others go on writing.
 *
 * The store keeps no old values, so what changed while it was read is read again, until what is held is right for some
 * revision: of every key the value of its last change up to it, and none of a later one. Each round reads the keys that
 * changed in the last one. If none of them has changed again, all is as it was when the round began, whatever else was
 * written; otherwise the history says what has, and whether what was read fits its end. Little time passes between the
 * history and the values, so only keys that change all the time keep it from ending; it gives up after many rounds.
 */
import { crc32 } from 'node:zlib'
import { AgentStateError, type Entry, type Session, type Stat } from '../index.js'
import { compareUtf8 } from '../utf8.js'
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
  { signal, onProgress }: SnapshotOptions,
): Promise<Snapshot> {
  const held = new HeldEntries(spool)
  let wanted: History = await collectHeads(session, signal)
  // What was deleted while the heads were collected is in neither.
  let isExact = false
  let stale = held.staleKeys(wanted, [])
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const [last = [], ...earlier] = groups(stale, (key) => held.sizeOf(key)).toReversed()
    for (const keys of earlier.reverse()) {
      await held.take(await readAll(session, keys, signal))
      onProgress(held.count, held.count + stale.length)
    }
    const { reads, histories } = await readWithHistory(session, last, wanted.revision, signal)
    await held.take(reads)
    onProgress(held.count, held.count)
    for (const history of isExact ? [wanted, ...histories] : histories) {
      if (history === null) break
      if (held.staleKeys(history, stale).length === 0)
        return held.snapshot(session.namespace, history.revision)
    }
    held.noteMissing(stale)
    const latest = histories.at(-1) ?? null
    isExact = latest !== null
    wanted = latest ?? (await collectHeads(session, signal))
    if (!isExact) held.keepOnly(wanted.latest)
    stale = held.staleKeys(wanted, isExact ? stale : [])
  }
  throw new TooBusyError(`namespace '${session.namespace}' changes faster than it can be read`)
}

/**
 * The history is asked for along with the values and again right behind them: one of the two fits if no change came between
 * it and the values.
 */
async function readWithHistory(
  session: Session,
  keys: readonly string[],
  after: number,
  signal: AbortSignal,
): Promise<{ reads: Read[]; histories: (History | null)[] }> {
  const reading = readAll(session, keys, signal)
  const [reads, ...histories] = await Promise.all([
    reading,
    changesAfter(session, after, signal),
    reading.then(() => changesAfter(session, after, signal)),
  ])
  return { reads, histories }
}

/** Owns what was read, of each key the last that was. Values wait in memory for a moment, then in the spool. */
class HeldEntries {
  readonly #spool: Spool
  readonly #held = new Map<string, Omit<HeldEntry, 'place'> & { readonly place: SpoolPlace | Uint8Array }>()
  /** Not spooled yet. */
  readonly #inMemory = new Set<string>()
  /** Of their values. */
  #inMemoryBytes = 0
  /** Keys that were missing in the last round. */
  #missing: ReadonlySet<string> = new Set()

  constructor(spool: Spool) {
    this.#spool = spool
  }

  get count(): number {
    return this.#held.size
  }

  sizeOf(key: string): number {
    return this.#held.get(key)?.stat.size ?? UNKNOWN_SIZE
  }

  async take(reads: readonly Read[]): Promise<void> {
    for (const { key, entry } of reads) {
      this.#drop(key)
      if (entry === null) continue
      const { value, ...stat } = entry
      this.#held.set(key, { stat, crc: crc32(value), place: value })
      this.#inMemory.add(key)
      this.#inMemoryBytes += value.length
    }
    if (this.#inMemoryBytes > IN_MEMORY_BYTES) await this.#spoolAll()
  }

  #drop(key: string): void {
    const place = this.#held.get(key)?.place
    if (place instanceof Uint8Array) this.#inMemoryBytes -= place.length
    this.#inMemory.delete(key)
    this.#held.delete(key)
  }

  async #spoolAll(): Promise<void> {
    for (const key of this.#inMemory) {
      const entry = this.#held.get(key)!
      if (entry.place instanceof Uint8Array)
        this.#held.set(key, { ...entry, place: await this.#spool.add(entry.place) })
    }
    this.#inMemory.clear()
    this.#inMemoryBytes = 0
  }

  keepOnly(heads: ReadonlyMap<string, unknown>): void {
    for (const key of this.#held.keys()) {
      if (!heads.has(key)) this.#drop(key)
    }
  }

  /**
   * Keys of which something else is held than their last change in the history, and those of the keys just read that show a
   * change behind it: with a later revision, or missing without a deletion. What was missing before as well is so without one.
   */
  staleKeys({ revision, latest }: History, justRead: readonly string[]): string[] {
    const stale = new Set<string>()
    for (const [key, last] of latest) {
      if ((this.#held.get(key)?.stat.revision ?? null) !== last) stale.add(key)
    }
    for (const key of justRead) {
      const entry = this.#held.get(key)
      const isLater =
        entry === undefined
          ? latest.get(key) !== null && !this.#missing.has(key)
          : entry.stat.revision > revision
      if (isLater) stale.add(key)
    }
    return [...stale]
  }

  noteMissing(read: readonly string[]): void {
    this.#missing = new Set(read.filter((key) => !this.#held.has(key)))
  }

  async snapshot(namespace: string, revision: number): Promise<Snapshot> {
    await this.#spoolAll()
    const byBytes = [...this.#held].sort(([a], [b]) => compareUtf8(a, b))
    const entries = byBytes.map(([key, { stat, crc, place }]): [string, HeldEntry] => {
      if (place instanceof Uint8Array) throw new Error(`the value of '${key}' was not spooled`)
      return [key, { stat, crc, place }]
    })
    return { namespace, revision, entries: new Map(entries) }
  }
}

/** What changed after a revision up to another one: of each key its last revision, null for a deletion. */
interface History {
  readonly revision: number
  readonly latest: ReadonlyMap<string, number | null>
}

/** What is there now, without values. `revision`: changes after it may be missing. */
async function collectHeads(session: Session, signal: AbortSignal): Promise<History> {
  const heads = new Map<string, number>()
  for await (const item of session.watch({ initial: true, signal })) {
    if (item.type === 'ready') return { revision: item.revision, latest: heads }
    heads.set(item.key, item.revision)
  }
  signal.throwIfAborted()
  throw new Error('the store was closed')
}

/** Null: it is not in memory any more. */
async function changesAfter(
  session: Session,
  afterRevision: number,
  signal: AbortSignal,
): Promise<History | null> {
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
/** Writing takes time, in which more changes. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024

interface Read {
  readonly key: string
  readonly entry: Entry | null
}

function readAll(session: Session, keys: readonly string[], signal: AbortSignal): Promise<Read[]> {
  return Promise.all(keys.map(async (key) => ({ key, entry: await session.entry(asKey(key), { signal }) })))
}

function groups(keys: readonly string[], sizeOf: (key: string) => number): string[][] {
  const all: string[][] = []
  let group: string[] = []
  let bytes = 0
  for (const key of keys) {
    const size = sizeOf(key)
    if (group.length > 0 && (bytes + size > AT_ONCE_BYTES || group.length >= AT_ONCE_MAX)) {
      all.push(group)
      group = []
      bytes = 0
    }
    group.push(key)
    bytes += size
  }
  if (group.length > 0) all.push(group)
  return all
}
