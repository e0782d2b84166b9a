import { Buffer } from 'node:buffer'
import { v7 as uuidv7 } from 'uuid'
import { syncDirectory, writeFully, type FileStat } from './file-system.js'
import { includesContent, includesSize } from './known-contents.js'
import { contentPath, parentOf, preservedName, storeLayout } from './layout.js'
import type { MaterializeAnswer, TreeOperation } from './tasks.js'
import { checksumFile, readMetadata, withFile } from './tree-files.js'
import { timeFits } from './tree-judge.js'
import type { TreeRun } from './tree-writer.js'

type Preserved = MaterializeAnswer['preserved'][number]

/**
 * Moves contents out of the way that were edited by hand since the store last ran: those that fit neither their
 * metadata nor anything that the journal knows of the key. Each is durable in its new place, beside a note of where it
 * was, before anything else happens to its key. An operation whose content can't be looked at or moved fails.
 */
export function preserveEdits(run: TreeRun): Preserved[] {
  const preserved: Preserved[] = []
  run.task.operations.forEach((operation, index) => {
    const { known } = operation
    if (known === undefined) return
    run.results.attempt(index, () => {
      if (isEdited(run, operation, known)) preserve(run, operation.key, preserved)
    })
  })
  return preserved
}

function isEdited(run: TreeRun, { key }: TreeOperation, known: Uint32Array): boolean {
  const { fs, directories, task } = run
  const path = contentPath(task.context.root, task.namespace, key)
  if (!directories.isReal(parentOf(path))) return false
  const edited = withFile(fs, path, (fd, stat) => !isExplained(run, key, known, fd, stat))
  return edited ?? false
}

function isExplained(run: TreeRun, key: string, known: Uint32Array, fd: number, stat: FileStat): boolean {
  const { fs, directories, task } = run
  const { root, storeId } = task.context
  const found = readMetadata(fs, directories, root, task.namespace, key)
  // A removal that a crash cut off may have come to the metadata first; what it has left goes with the rest.
  const isRemoved = task.namespaceChange === 'remove' || task.namespaceChange === 'recreate'
  if (isRemoved && found.status === 'none') return true
  const own = found.status === 'found' ? found.metadata.own : null
  const ours = own !== null && own.storeId === storeId && own.size === stat.size ? own : null
  if (ours !== null && timeFits(stat.mtimeMs, ours.writtenAtMs)) return true
  const { size } = stat
  if (ours === null && !includesSize(known, size)) return false
  const crc = checksumFile(fs, fd, size)
  return ours?.crc === crc || includesContent(known, { size, crc })
}

/** The note comes first, so that no preserved content is ever without one. */
function preserve(run: TreeRun, key: string, preserved: Preserved[]): void {
  const { fs, directories, task } = run
  const { root, modes } = task.context
  const layout = storeLayout(root)
  const path = contentPath(root, task.namespace, key)
  const preservedAs = preservedName(uuidv7())
  directories.make(layout.preserved, modes.directory)
  const note = `${root}/${preservedAs}.json`
  writeNote(run, note, `${JSON.stringify({ namespace: task.namespace, key }, null, 2)}\n`)
  try {
    withFile(fs, path, (fd) => fs.sync(fd))
    syncDirectory(fs, layout.preserved)
    fs.rename(path, `${root}/${preservedAs}`)
  } catch (error) {
    discardNote(run, note)
    throw error
  }
  preserved.push({ key, preservedAs })
  for (const directory of [layout.preserved, layout.directory, parentOf(path)]) syncDirectory(fs, directory)
}

function writeNote(run: TreeRun, path: string, text: string): void {
  const { fs } = run
  const fd = fs.open(path, 'create-exclusive', run.task.context.modes.file)
  try {
    try {
      writeFully(fs, fd, Buffer.from(text, 'utf8'), 0)
      fs.sync(fd)
    } finally {
      fs.close(fd)
    }
  } catch (error) {
    discardNote(run, path)
    throw error
  }
}

function discardNote(run: TreeRun, path: string): void {
  try {
    run.fs.unlink(path)
  } catch {
    // A note without a content says nothing wrong, and the error that brought us here is the one to report.
  }
}
