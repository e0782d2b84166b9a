/** Writes namespaces of a store to an archive, each as it was at one revision. */
import type { Store } from '../index.js'
import { AgentStateError } from '../index.js'
import type { NamespaceProgress } from '../inspect/namespace-progress.js'
import {
  ARCHIVE_FORMAT,
  encodeEntryMetadata,
  encodeManifest,
  MANIFEST_PATH,
  metadataPaths,
  type ArchivedNamespace,
} from './archive-layout.js'
import type { ArchiveWriter } from './archive-writer.js'
import { takeSnapshot, type Snapshot } from './snapshot.js'
import { Spool } from './spool.js'

export interface ExportOptions {
  readonly storeId: string
  /** Null: all there are when it begins. */
  readonly namespaces: readonly string[] | null
  readonly signal: AbortSignal
  readonly onProgress: (progress: ExportProgress) => void
}

export interface ExportProgress extends NamespaceProgress {
  readonly step: 'reading' | 'writing'
}

export async function exportStore(
  store: Store,
  archive: ArchiveWriter,
  options: ExportOptions,
): Promise<readonly ArchivedNamespace[]> {
  const { storeId, signal } = options
  const names = options.namespaces ?? (await allNamespaces(store, signal))
  const exported: ArchivedNamespace[] = []
  const spool = await Spool.open()
  try {
    for (const [done, namespace] of names.entries()) {
      const progress =
        (step: ExportProgress['step']) =>
        (keys: number, keysTotal: number): void =>
          options.onProgress({ namespace, step, keys, keysTotal, done, total: names.length })
      const snapshot = await snapshotOf(store, namespace, spool, {
        ...{ signal, onProgress: progress('reading') },
        isNamed: options.namespaces !== null,
      })
      if (snapshot === null) continue
      exported.push(
        await writeSnapshot(snapshot, spool, archive, { storeId, signal, onProgress: progress('writing') }),
      )
      await spool.clear()
    }
    const manifest = {
      format: ARCHIVE_FORMAT,
      store: storeId,
      exported_at: Date.now(),
      namespaces: exported,
    } as const
    await archive.addFile(MANIFEST_PATH, encodeManifest(manifest), manifest.exported_at)
    return exported
  } finally {
    await spool.close()
  }
}

async function allNamespaces(store: Store, signal: AbortSignal): Promise<string[]> {
  const names: string[] = []
  for await (const name of store.namespaces({ signal })) names.push(name)
  return names
}

/** Null: it was removed since it was listed. */
async function snapshotOf(
  store: Store,
  namespace: string,
  spool: Spool,
  { signal, onProgress, isNamed }: Parameters<typeof takeSnapshot>[2] & { readonly isNamed: boolean },
): Promise<Snapshot | null> {
  try {
    return await takeSnapshot(await store.resume(namespace, { signal }), spool, { signal, onProgress })
  } catch (error) {
    if (!isNamed && AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')) return null
    throw error
  }
}

async function writeSnapshot(
  { namespace, revision, entries }: Snapshot,
  spool: Spool,
  archive: ArchiveWriter,
  { storeId, signal, onProgress }: Parameters<typeof takeSnapshot>[2] & { readonly storeId: string },
): Promise<ArchivedNamespace> {
  const placeOf = metadataPaths(namespace, entries.keys())
  let keys = 0
  let bytes = 0
  await archive.addDirectory(namespace)
  for (const [key, held] of entries) {
    signal.throwIfAborted()
    const { path, isSecond } = placeOf(key)
    const { updatedAtMs } = held.stat
    await archive.addFile(path, encodeEntryMetadata(storeId, held, isSecond), updatedAtMs)
    await archive.addFile(`${namespace}/${key}`, await spool.read(held.place), updatedAtMs)
    keys++
    bytes += held.stat.size
    onProgress(keys, entries.size)
  }
  return { name: namespace, revision, keys, bytes }
}
