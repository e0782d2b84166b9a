/**
 * Writes an archive into a store, in batches that are all or nothing. What can be read twice is read to its end before
 * anything is written, so that one that is damaged, or in the way of what is there, changes nothing.
 */
import { AgentStateError, type ConflictPolicy, type Session, type Store, type Writer } from '../index.js'
import { ArchiveError } from './archive-error.js'
import { fits, MANIFEST_PATH, type Manifest } from './archive-layout.js'
import type { ArchiveItem, ArchiveReader } from './archive-reader.js'
import { asKey } from './as-key.js'

export interface ImportOptions {
  /** What happens to keys that are there: by default nothing is imported. */
  readonly existing: 'refuse' | 'keep' | 'overwrite'
  readonly policy: ConflictPolicy | undefined
  /** Instead of those that the archive names. */
  readonly writer: Writer | null
  readonly signal: AbortSignal
  readonly onProgress: (step: 'checking' | 'writing', counts: ImportCounts) => void
  readonly onLeftOut: (path: string, why: string) => void
}

export interface ImportCounts {
  readonly namespaces: number
  readonly keys: number
  readonly bytes: number
  /** Keys that were there and stay as they are. */
  readonly kept: number
}

type Entry = Extract<ArchiveItem, { type: 'entry' }>

export async function importArchive(
  store: Store,
  archive: ArchiveReader,
  options: ImportOptions,
): Promise<ImportCounts> {
  const existing = new ExistingKeys(store, options.signal)
  if (archive.canRepeat) await checkArchive(archive, existing, options)
  const writing = new ImportWriter(store, existing, options)
  const checking = new ManifestCheck()
  try {
    for await (const item of archive.items(options.signal)) {
      if (item.type === 'left-out') options.onLeftOut(item.path, item.why)
      else if (item.type === 'namespace') writing.addNamespace(item.namespace)
      else if (item.type === 'entry') {
        checkContent(item)
        checking.add(item)
        await writing.add(item)
      } else {
        await writing.finish()
        checking.end(item.manifest)
      }
    }
  } finally {
    // Whoever learns of a failure has to be told all that was written.
    await writing.ended()
  }
  return writing.counts
}

async function checkArchive(
  archive: ArchiveReader,
  existing: ExistingKeys,
  options: ImportOptions,
): Promise<void> {
  const checking = new ManifestCheck()
  for await (const item of archive.items(options.signal)) {
    if (item.type === 'end') checking.end(item.manifest)
    if (item.type !== 'entry') continue
    checkContent(item)
    checking.add(item)
    options.onProgress('checking', checking.counts)
    if (options.existing === 'refuse' && (await existing.has(item.namespace, item.key))) throw inTheWay(item)
  }
}

function checkContent({ namespace, key, value, metadata }: Entry): void {
  if (metadata === null || fits(value, metadata)) return
  throw new ArchiveError('damaged', `'${namespace}/${key}' in the archive does not fit its checksum`)
}

function inTheWay({ namespace, key }: Entry): ArchiveError {
  return new ArchiveError(
    'refused',
    `'${namespace}/${key}' is there already; --if-absent keeps such keys, --policy ignore overwrites them`,
  )
}

/** Counts what came against what the archive says that it holds. */
class ManifestCheck {
  readonly #keys = new Map<string, number>()
  #keysTotal = 0
  #bytes = 0
  /** The first entry with metadata that only a store writes, and the first one without them. */
  #own: string | null = null
  #foreign: string | null = null

  get counts(): ImportCounts {
    return { namespaces: this.#keys.size, keys: this.#keysTotal, bytes: this.#bytes, kept: 0 }
  }

  add({ namespace, key, value, metadata }: Entry): void {
    this.#keys.set(namespace, (this.#keys.get(namespace) ?? 0) + 1)
    this.#keysTotal++
    this.#bytes += value.length
    if (metadata !== null && metadata.crc !== null) this.#own ??= `${namespace}/${key}`
    else this.#foreign ??= `${namespace}/${key}`
  }

  /** Without the list, only a tree of another program is whole; with it, nothing is there that the export did not write. */
  end(manifest: Manifest | null): void {
    if (manifest === null && this.#own !== null)
      throw new ArchiveError(
        'damaged',
        `the archive is not complete: '${this.#own}' was exported, but ${MANIFEST_PATH}, which lists all, is missing`,
      )
    if (manifest !== null && this.#foreign !== null)
      throw new ArchiveError('damaged', `the metadata of '${this.#foreign}' in the archive are missing`)
    for (const { name, keys } of manifest?.namespaces ?? []) {
      const found = this.#keys.get(name) ?? 0
      if (found < keys)
        throw new ArchiveError(
          'damaged',
          `the archive is not complete: namespace '${name}' has ${found} of ${keys} keys`,
        )
    }
  }
}

/** Owns what is known of the keys that were there before the import. */
class ExistingKeys {
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #keys = new Map<string, ReadonlySet<string>>()

  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  async has(namespace: string, key: string): Promise<boolean> {
    let keys = this.#keys.get(namespace)
    if (keys === undefined) {
      keys = new Set(await this.#list(namespace))
      this.#keys.set(namespace, keys)
    }
    return keys.has(key)
  }

  async #list(namespace: string): Promise<string[]> {
    try {
      return await (await this.#store.resume(namespace)).list({ signal: this.#signal })
    } catch (error) {
      if (AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')) return []
      throw error
    }
  }
}

const BATCH_OPERATIONS = 256
const BATCH_BYTES = 1024 * 1024
/** Of all batches that are being filled. */
const HELD_BYTES = 8 * 1024 * 1024
const BATCHES_AT_ONCE = 8

/** What one writer wrote in one namespace. */
interface Batch {
  readonly namespace: string
  readonly writer: Writer | null
  readonly entries: Entry[]
  bytes: number
}

/** Owns the batches that are being filled and written. A namespace is made when the first batch of it is written. */
class ImportWriter {
  readonly #store: Store
  readonly #existing: ExistingKeys
  readonly #options: ImportOptions
  readonly #sessions = new Map<string, Promise<Session>>()
  readonly #namespaces = new Set<string>()
  readonly #batches = new Map<string, Batch>()
  #held = 0
  #running: Promise<void>[] = []
  #counts: ImportCounts = { namespaces: 0, keys: 0, bytes: 0, kept: 0 }

  constructor(store: Store, existing: ExistingKeys, options: ImportOptions) {
    this.#store = store
    this.#existing = existing
    this.#options = options
  }

  get counts(): ImportCounts {
    return { ...this.#counts, namespaces: this.#namespaces.size }
  }

  addNamespace(namespace: string): void {
    this.#namespaces.add(namespace)
  }

  async add(entry: Entry): Promise<void> {
    const { namespace, key, value, metadata } = entry
    const { existing } = this.#options
    if (existing !== 'overwrite' && (await this.#existing.has(namespace, key))) {
      if (existing === 'refuse') throw inTheWay(entry)
      this.#counts = { ...this.#counts, kept: this.#counts.kept + 1 }
      return
    }
    this.#namespaces.add(namespace)
    const writer = this.#options.writer ?? metadata?.writer ?? null
    const id = JSON.stringify([namespace, writer])
    let batch = this.#batches.get(id)
    if (batch === undefined) {
      batch = { namespace, writer, entries: [], bytes: 0 }
      this.#batches.set(id, batch)
    }
    batch.entries.push(entry)
    batch.bytes += value.length
    this.#held += value.length
    if (batch.entries.length >= BATCH_OPERATIONS || batch.bytes >= BATCH_BYTES) await this.#start(id, batch)
    else if (this.#held >= HELD_BYTES) await this.#startAll()
  }

  async finish(): Promise<void> {
    await this.#startAll()
    await this.#settle()
    for (const namespace of this.#namespaces) await this.#session(namespace)
  }

  /** Resolves when nothing is under way any more, whatever became of it. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  #session(namespace: string): Promise<Session> {
    let session = this.#sessions.get(namespace)
    if (session === undefined) {
      session = this.#store.init(namespace, { signal: this.#options.signal })
      this.#sessions.set(namespace, session)
    }
    return session
  }

  async #startAll(): Promise<void> {
    for (const [id, batch] of [...this.#batches]) await this.#start(id, batch)
  }

  async #start(id: string, batch: Batch): Promise<void> {
    this.#batches.delete(id)
    this.#held -= batch.bytes
    const written = this.#write(batch)
    // Whoever waits for all of them learns of a failure.
    written.catch(() => {})
    this.#running.push(written)
    if (this.#running.length >= BATCHES_AT_ONCE) await this.#settle()
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#running)
    this.#running = []
  }

  async #write({ namespace, writer, entries, bytes }: Batch): Promise<void> {
    const { existing, policy: conflictPolicy, signal } = this.#options
    const made = await this.#session(namespace)
    const session = writer === null ? made : made.with({ writer })
    const ifRevision = existing === 'overwrite' ? undefined : null
    await session.batch(
      entries.map(({ key, value }) => ({ write: asKey(key), value, ifRevision })),
      { conflictPolicy, signal },
    )
    const { keys, bytes: before, ...counts } = this.#counts
    this.#counts = { ...counts, keys: keys + entries.length, bytes: before + bytes }
    this.#options.onProgress('writing', this.counts)
  }
}
