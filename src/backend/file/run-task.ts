/** What a worker does with a task. Synchronous, and the same in a worker's thread and in a test's. */
import { errorCode, syncDirectory, type FileSystem } from './file-system.js'
import { scanJournal } from './journal-scan.js'
import { parentOf } from './layout.js'
import { prepareSegment } from './segment.js'
import type { SegmentAnswer, Task, TaskAnswers } from './tasks.js'
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
  'remove-segments': (fs, { paths }) =>
    segmentAnswer(() => {
      for (const path of paths) if (fs.lstat(path) !== null) fs.unlink(path)
      const first = paths[0]
      if (first !== undefined) syncDirectory(fs, parentOf(first))
    }),
  'scan-journal': scanJournal,
}

export function runTask<K extends Task['kind']>(
  fs: FileSystem,
  task: Extract<Task, { kind: K }>,
): TaskAnswers[K] {
  return RUNNERS[task.kind](fs, task)
}

function segmentAnswer(act: () => void): SegmentAnswer {
  try {
    act()
    return { failure: null }
  } catch (error) {
    return { failure: { code: errorCode(error), message: String(error) } }
  }
}
