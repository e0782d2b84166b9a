import type { FileStat } from './file-system.js'
import { includesContent, includesSize } from './known-contents.js'
import { contentPath, parentOf } from './layout.js'
import type { OwnMetadata } from './metadata.js'
import { preserveContent, syncPreserved } from './preserved-content.js'
import type { TreeOperation } from './tasks.js'
import { checksumFile, readMetadata, withFile, type FoundMetadata } from './tree-files.js'
import { timeFits } from './tree-judge.js'
import type { TreeRun } from './tree-writer.js'

/**
 * Moves contents out of the way that were edited by hand since the store last ran: those that fit neither their
 * metadata nor anything that the journal knows of the key. Each is durable in its new place before anything else happens
 * to its key. An operation whose content can't be looked at or moved fails.
 */
export function preserveEdits(run: TreeRun): void {
  syncPreserved(run)
  run.task.operations.forEach((operation, index) => {
    const { known } = operation
    if (known === undefined) return
    run.results.attempt(index, () => {
      if (isEdited(run, operation, known)) preserveContent(run, operation.key)
    })
  })
}

/**
 * Whether a content is there that was made or edited after the store removed the namespace: then that does not mean it. Only
 * what is newer is opened, so that what can't be read is removed like the rest.
 */
export function isNewerThanRemoval(run: TreeRun, key: string, removedAtMs: number): boolean {
  const { fs, task } = run
  const path = contentPath(task.context.root, task.namespace, key)
  const stat = fs.lstat(path)
  if (stat?.kind !== 'file' || stat.mtimeMs <= removedAtMs) return false
  // The clock may have been set back since the store wrote it, or the root was copied without its times.
  const ours = oursOf(run, findMetadata(run, key), stat)
  if (ours === null) return true
  if (timeFits(stat.mtimeMs, ours.writtenAtMs)) return false
  return withFile(fs, path, (fd, { size }) => checksumFile(fs, fd, size) !== ours.crc) ?? false
}

function isEdited(run: TreeRun, { key }: TreeOperation, known: Uint32Array): boolean {
  const { fs, directories, task } = run
  const path = contentPath(task.context.root, task.namespace, key)
  if (!directories.isReal(parentOf(path))) return false
  const edited = withFile(fs, path, (fd, stat) => !isExplained(run, key, known, fd, stat))
  return edited ?? false
}

function isExplained(run: TreeRun, key: string, known: Uint32Array, fd: number, stat: FileStat): boolean {
  const { fs, task } = run
  const found = findMetadata(run, key)
  // A power cut in a removal may leave a content without its metadata; what is left goes with the rest.
  const { removedAtMs } = task
  if (removedAtMs !== null && stat.mtimeMs <= removedAtMs && found.status === 'none') return true
  const ours = oursOf(run, found, stat)
  if (ours !== null && timeFits(stat.mtimeMs, ours.writtenAtMs)) return true
  const { size } = stat
  if (ours === null && !includesSize(known, size)) return false
  const crc = checksumFile(fs, fd, size)
  return ours?.crc === crc || includesContent(known, { size, crc })
}

function findMetadata({ fs, directories, task }: TreeRun, key: string): FoundMetadata {
  return readMetadata(fs, directories, task.context.root, task.namespace, key)
}

/** What this store noted of a content of this size, or null. */
function oursOf(run: TreeRun, found: FoundMetadata, { size }: FileStat): OwnMetadata | null {
  const own = found.status === 'found' ? found.metadata.own : null
  return own !== null && own.storeId === run.task.context.storeId && own.size === size ? own : null
}
