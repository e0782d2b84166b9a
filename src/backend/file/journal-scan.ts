import type { FileSystem } from './file-system.js'
import type { ScanJournalAnswer, ScanJournalTask } from './tasks.js'

/** Reads the next window of the journal; throws `READ_FAILED` if the file system refuses to read. */
export function scanJournal(_fs: FileSystem, _task: ScanJournalTask): ScanJournalAnswer {
  throw new Error('not written yet')
}
