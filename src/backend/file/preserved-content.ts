import { Buffer } from 'node:buffer'
import { v7 as uuidv7 } from 'uuid'
import { syncDirectory, writeFully } from './file-system.js'
import { contentPath, parentOf, preservedName, storeLayout } from './layout.js'
import { withFile } from './tree-files.js'
import type { TreeRun } from './tree-writer.js'

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
    withFile(fs, path, (fd) => fs.sync(fd))
    syncDirectory(fs, layout.preserved)
    fs.rename(path, `${root}/${preservedAs}`)
  } catch (error) {
    discardNote(run, note)
    throw error
  }
  run.preserved.push({ key, preservedAs })
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
