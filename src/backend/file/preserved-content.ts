import { Buffer } from 'node:buffer'
import { v7 as uuidv7 } from 'uuid'
import { errorCode, syncDirectory, writeFully, type FileSystem } from './file-system.js'
import { contentPath, parentOf, preservedName, storeLayout } from './layout.js'
import { NAMESPACE } from './operation-results.js'
import { withFile } from './tree-files.js'
import type { TreeRun } from './tree-writer.js'

/** What an earlier attempt has moved may not be durable in its new place; all that comes after it relies on that. */
export function syncPreserved({ fs, task, directories, results }: TreeRun): void {
  const dependents = task.operations.flatMap(({ known }, index) => (known === undefined ? [] : [index]))
  if (task.removedAtMs !== null) dependents.push(NAMESPACE)
  if (dependents.length === 0) return
  const { preserved } = storeLayout(task.context.root)
  try {
    if (directories.isReal(preserved)) syncDirectory(fs, preserved)
  } catch (error) {
    for (const index of dependents) results.fail(index, error)
  }
}

/**
 * Moves a content that is not the store's own out of the way, beside a note of where it was. Both are durable in their new
 * place when it returns. The note comes first, so that no preserved content is ever without one.
 */
export function preserveContent(run: TreeRun, key: string): void {
  const { fs, directories, task } = run
  const { root, modes } = task.context
  const layout = storeLayout(root)
  const path = contentPath(root, task.namespace, key)
  const preservedAs = preservedName(uuidv7())
  directories.make(layout.preserved, modes.directory)
  const note = `${root}/${preservedAs}.json`
  writeNote(run, note, `${JSON.stringify({ namespace: task.namespace, key }, null, 2)}\n`)
  try {
    syncReadable(fs, path)
    syncDirectory(fs, layout.preserved)
    fs.rename(path, `${root}/${preservedAs}`)
  } catch (error) {
    discardNote(run, note)
    throw error
  }
  run.preserved.push({ key, preservedAs })
  for (const directory of [layout.preserved, layout.directory, parentOf(path)]) syncDirectory(fs, directory)
}

/** What only others may read is as durable as they have made it. */
function syncReadable(fs: FileSystem, path: string): void {
  try {
    withFile(fs, path, (fd) => fs.sync(fd))
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error
  }
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
