/**
 * Recovery: what an unclean end left in the journal is brought into the tree and made durable there before anything of it
 * is served (I2), by the same code that materializes (I6).
 *
 * - The journal is read in windows; all of the backlog is collapsed before anything is applied, so that the tree never
 *   moves backwards.
 * - Nothing is appended to the segments that are found: what was read of them may never have reached the disk. What can't
 *   be brought into the tree is written again to a new segment, which continues the chain.
 */
import { stateError } from '../../errors.js'
import type { Backlog } from './backlog.js'
import { Segment } from './journal.js'
import { segmentPath } from './segment.js'
import type { TaskRunner } from './task-runner.js'
import type { JournalPosition } from './tasks.js'

const WINDOW_BYTES = 8 * 1024 * 1024

export interface FoundJournal {
  /** Records read, superseded ones included. */
  readonly operations: number
  /** Where the next frame has to go on. */
  readonly end: JournalPosition
}

/** Fills the backlog with what the journal holds from a position on. */
export async function readJournal(
  runner: TaskRunner,
  directory: string,
  storeId: string,
  from: JournalPosition,
  backlog: Backlog,
): Promise<FoundJournal> {
  const segments = new Map<number, Segment>()
  const segmentOf = (id: number | null): Segment => {
    const found = segments.get(id ?? 0)
    if (found !== undefined) return found
    const segment = new Segment(id ?? 0, segmentPath(directory, id ?? 0), 0, from, 0, false)
    segments.set(segment.id, segment)
    return segment
  }
  let operations = 0
  for (let next = from; ;) {
    const answer = await runner.run({
      kind: 'scan-journal',
      directory,
      storeId,
      from: next,
      windowBytes: WINDOW_BYTES,
    })
    for (const record of answer.records) backlog.addRecovered(record, segmentOf)
    operations += answer.records.length
    next = answer.next
    if (answer.corruptAt !== null) {
      const { path, offset } = answer.corruptAt
      const message =
        `the journal is damaged at offset ${offset} of ${path}: later frames are there, so acknowledged writes ` +
        `would be lost; nothing was changed`
      throw stateError('JOURNAL_CORRUPT', message, { path, offset })
    }
    if (answer.end !== 'more') return { operations, end: next }
  }
}
