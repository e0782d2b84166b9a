import { errorCode } from './file-system.js'
import {
  contentPath,
  firstMetadataPath,
  metadataDirectory,
  namespaceDirectory,
  secondMetadataPath,
} from './layout.js'
import { isKey } from './namespace-scan.js'
import { DirectorySyncs, NAMESPACE } from './operation-results.js'
import { isNewerThanRemoval } from './preserve-edits.js'
import { preserveContent } from './preserved-content.js'
import type { MaterializeTask } from './tasks.js'
import type { TreeRun } from './tree-writer.js'

/**
 * Deletes what a removed namespace has left, and its directory unless that was made again. Files that this task writes
 * stay: recovery may come here after later writes reached the tree, and those must never go back. What somebody has put
 * there since, before the tree showed the removal, is moved out of the way.
 *
 * A name that is not UTF-8 can't be listed, so it is not deleted; its directory then stays, and that is reported.
 */
export function removeNamespace(run: TreeRun): void {
  const { fs, task, directories, results } = run
  const top = namespaceDirectory(task.context.root, task.namespace)
  if (!isThere(run, top)) return
  const kept = keptPaths(task)
  const keptDirectories = new Set([...kept].flatMap((path) => directories.above(path)))
  if (task.namespaceChange === 'recreate') keptDirectories.add(top)
  const syncs = new DirectorySyncs()
  // A directory was found before those inside it, so the innermost are removed first.
  for (const directory of deleteFiles(run, top, kept).reverse()) {
    if (keptDirectories.has(directory)) syncs.add(directory, NAMESPACE)
    else if (!tolerate(run, () => directories.remove(directory))) syncs.add(directory, NAMESPACE)
  }
  syncs.run(fs, results)
}

function isThere(run: TreeRun, directory: string): boolean {
  let real = false
  tolerate(run, () => {
    real = run.directories.isReal(directory)
  })
  return real
}

function keptPaths(task: MaterializeTask): Set<string> {
  const { namespace } = task
  const { root } = task.context
  const kept = new Set<string>()
  for (const { kind, key } of task.operations) {
    if (kind !== 'write') continue
    kept.add(contentPath(root, namespace, key))
    kept.add(firstMetadataPath(root, namespace, key))
    kept.add(secondMetadataPath(root, namespace, key))
  }
  return kept
}

/** Deletes everything that is not a directory, metadata last, because it tells whose a content is; returns the directories. */
function deleteFiles(run: TreeRun, top: string, kept: ReadonlySet<string>): string[] {
  const metadata = metadataDirectory(run.task.context.root, run.task.namespace)
  // What the store wrote after the removal is newer, too.
  const since = new Set(run.task.operations.map(({ key }) => key))
  const found: string[] = []
  const pending = [top]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const listed = directory
    found.push(listed)
    tolerate(run, () => {
      for (const { name, kind } of run.fs.list(listed)) {
        const path = `${listed}/${name}`
        if (path === metadata && kind === 'directory') pending.unshift(path)
        else if (kind === 'directory') pending.push(path)
        else if (!kept.has(path)) tolerate(run, () => deleteFile(run, path.slice(top.length + 1), since))
      }
    })
  }
  return found
}

/** `since`: keys of which the store knows what became of them after the removal. */
function deleteFile(run: TreeRun, key: string, since: ReadonlySet<string>): void {
  const { removedAtMs, context, namespace } = run.task
  const mayBeOfOther = removedAtMs !== null && !since.has(key) && isKey(key)
  if (mayBeOfOther && isNewerThanRemoval(run, key, removedAtMs)) preserveContent(run, key)
  else run.fs.unlink(contentPath(context.root, namespace, key))
}

/** What can't be removed is reported and does not stop the rest; what is gone already is as wanted. */
function tolerate(run: TreeRun, step: () => void): boolean {
  try {
    step()
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true
    run.results.fail(NAMESPACE, error)
    return false
  }
}
