/** What a worker does with a task. Synchronous, and the same in a worker's thread and in a test's. */
import { loadConflicts, saveConflicts } from './conflict-file.js'
import type { FileSystem } from './file-system.js'
import { scanJournal } from './journal-scan.js'
import { prepareSegment, removeSegments } from './segment.js'
import type { Task, TaskAnswers } from './tasks.js'
import { listNamespaces, readEntries, readHeads, scanNamespace } from './tree-reader.js'
import { materialize } from './tree-writer.js'

type Runners = {
  readonly [K in Task['kind']]: (fs: FileSystem, task: Extract<Task, { kind: K }>) => TaskAnswers[K]
}

const RUNNERS: Runners = {
  materialize,
  heads: readHeads,
  read: readEntries,
  'scan-namespace': scanNamespace,
  'list-namespaces': listNamespaces,
  'prepare-segment': prepareSegment,
  'remove-segments': removeSegments,
  'scan-journal': scanJournal,
  'save-conflicts': saveConflicts,
  'load-conflicts': loadConflicts,
}

export function runTask<K extends Task['kind']>(
  fs: FileSystem,
  task: Extract<Task, { kind: K }>,
): TaskAnswers[K] {
  return RUNNERS[task.kind](fs, task)
}
