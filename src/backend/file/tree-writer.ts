/**
 * Applies what the journal holds to the files that people see. The backlog's materializer and recovery call the same
 * function with the same tasks (I6), so it may meet any part of its own work done already, by itself or by a process
 * that was killed: what it finds done is synced again, never taken for durable.
 *
 * The order is that of promise I5: a content is complete and synced before it gets its path, and it is at its path,
 * durably, before its metadata is. Each phase ends by syncing every directory that it changed, once. An operation that
 * fails is reported and left out of the later phases; the others go on.
 */
import { Directories } from './directories.js'
import type { FileSystem } from './file-system.js'
import { JournalValues } from './journal-values.js'
import { namespaceDirectory, storeLayout } from './layout.js'
import { removeNamespace } from './namespace-removal.js'
import { DirectorySyncs, NAMESPACE, OperationResults } from './operation-results.js'
import { preserveEdits } from './preserve-edits.js'
import type { MaterializeAnswer, MaterializeTask, PreservedContent } from './tasks.js'
import { Temporaries } from './temporaries.js'
import { applyDeletes } from './tree-deletes.js'
import { applyWrites } from './tree-writes.js'

/** What the phases of one task share. */
export interface TreeRun {
  readonly fs: FileSystem
  readonly task: MaterializeTask
  readonly directories: Directories
  readonly results: OperationResults
  /** Contents of others that were in the way. */
  readonly preserved: PreservedContent[]
}

/** When it returns, every operation that is not among the failures is in the tree and durable. */
export function materialize(fs: FileSystem, task: MaterializeTask): MaterializeAnswer {
  const { root, modes } = task.context
  const directories = new Directories(fs, root)
  const results = new OperationResults()
  const run: TreeRun = { fs, task, directories, results, preserved: [] }
  const values = new JournalValues(fs)
  const temporaries = new Temporaries(fs, directories, storeLayout(root).tmp, modes)
  try {
    preserveEdits(run)
    changeNamespace(run)
    applyDeletes(run)
    applyWrites(run, values, temporaries)
    return { failures: results.failures(), preserved: run.preserved }
  } finally {
    temporaries.discardAll()
    values.close()
  }
}

function changeNamespace(run: TreeRun): void {
  const { fs, task, directories, results } = run
  const { root, modes } = task.context
  if (task.namespaceChange === null || results.hasFailed(NAMESPACE)) return
  const directory = namespaceDirectory(root, task.namespace)
  if (task.namespaceChange !== 'create') removeNamespace(run)
  if (task.namespaceChange !== 'remove') {
    results.attempt(NAMESPACE, () => directories.make(directory, modes.directory))
  }
  const syncs = new DirectorySyncs()
  syncs.add(root, NAMESPACE)
  syncs.run(fs, results)
}
