import { errorCode } from './file-system.js'
import {
  contentPath,
  firstMetadataPath,
  metadataDirectory,
  namespaceDirectory,
  parentOf,
  secondMetadataPath,
} from './layout.js'
import { DirectorySyncs } from './operation-results.js'
import type { TreeRun } from './tree-writer.js'

/** Files of one operation that go. */
export interface Removal {
  readonly index: number
  readonly paths: readonly string[]
}

/**
 * Contents go first, durably: metadata without content says nothing, but content without metadata would look as if
 * somebody had put it there.
 */
export function applyDeletes(run: TreeRun): void {
  const { root } = run.task.context
  const { namespace, operations } = run.task
  const contents: Removal[] = []
  const metadata: Removal[] = []
  operations.forEach(({ kind, key }, index) => {
    if (kind !== 'delete') return
    contents.push({ index, paths: [contentPath(root, namespace, key)] })
    const places = [firstMetadataPath(root, namespace, key), secondMetadataPath(root, namespace, key)]
    metadata.push({ index, paths: places })
  })
  removeFiles(run, contents, namespaceDirectory(root, namespace))
  removeFiles(run, metadata, metadataDirectory(root, namespace))
}

/**
 * Removes files, then the directories below `top` that are empty now, and syncs what is left of the way to each file.
 * That a file or directory was missing already is no reason to skip the rest: it may be missing only until a power cut.
 */
export function removeFiles(run: TreeRun, removals: readonly Removal[], top: string): void {
  const { fs, directories, results } = run
  const dependents = new Map<string, number[]>()
  for (const { index, paths } of removals) {
    const removed = results.attempt(index, () => {
      for (const path of paths) unlinkIfThere(run, path)
    })
    if (!removed) continue
    for (const directory of new Set(paths.map(parentOf))) {
      const indexes = dependents.get(directory)
      if (indexes === undefined) dependents.set(directory, [index])
      else indexes.push(index)
    }
  }
  const syncs = new DirectorySyncs()
  const innermostFirst = [...dependents.keys()].sort((a, b) => b.length - a.length)
  for (const directory of innermostFirst)
    forAll(run, dependents.get(directory), () => prune(run, directory, top))
  for (const [directory, indexes] of dependents) {
    forAll(run, indexes, () => {
      const nearest = directories.nearestReal(directory)
      for (const index of indexes) syncs.add(nearest, index)
    })
  }
  syncs.run(fs, results)
}

/** A directory in a file's place is not the file that is to go. A symlink goes, what it points to stays. */
function unlinkIfThere(run: TreeRun, path: string): void {
  if (!run.directories.isReal(parentOf(path))) return
  const kind = run.fs.lstat(path)?.kind
  if (kind === undefined || kind === 'directory') return
  try {
    run.fs.unlink(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Not empty, or not ours to remove. An empty directory that stays shows nothing to anybody. */
const STAYS: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'EACCES', 'EPERM', 'EBUSY'])

function prune(run: TreeRun, innermost: string, top: string): void {
  for (let directory = innermost; directory.length > top.length; directory = parentOf(directory)) {
    if (!run.directories.isReal(directory)) continue
    try {
      run.directories.remove(directory)
    } catch (error) {
      const code = errorCode(error)
      if (STAYS.has(code)) return
      if (code !== 'ENOENT') throw error
    }
  }
}

/** One step for several operations: if it fails, all of them do. */
function forAll(run: TreeRun, indexes: readonly number[] = [], step: () => void): void {
  try {
    step()
  } catch (error) {
    for (const index of indexes) run.results.fail(index, error)
  }
}
