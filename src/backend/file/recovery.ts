/**
 * Recovery: what an unclean end left in the journal goes into the backlog, is made durable anew before anything of it is
 * served (I2), and is brought into the tree by the same code as ever (I6).
 *
 * - The journal is read in windows of bounded size; the values stay there.
 * - All of it is collapsed before anything is applied, so that the tree never moves backwards.
 * - Nothing is appended to the segments that are found: what was read of them may never have reached the disk. What they
 *   hold is written again to new segments, which continue the chain. (Bringing 200,000 keys into the tree instead takes
 *   minutes on a disk that syncs a thousand files a second; writing them again takes a second or two.)
 */
import { AgentStateError, stateError } from '../../errors.js'
import type { Backlog } from './backlog.js'
import type { CheckpointState } from './checkpoint.js'
import { Segment } from './journal.js'
import { isSegmentSize, segmentPath } from './segment.js'
import type { TaskRunner } from './task-runner.js'
import type { FrameLocation, JournalPosition, ScanJournalAnswer, ScanJournalTask } from './tasks.js'

const WINDOW_BYTES = 8 * 1024 * 1024

export interface FoundJournal {
  /** Records read, superseded ones included. */
  readonly operations: number
  /** Where the next frame has to go on. */
  readonly end: JournalPosition
  /** The last frame; null if there is none. */
  readonly lastFrame: FrameLocation | null
}

/** Fills the backlog with what the journal holds from a position on. `JOURNAL_CORRUPT` if anything of it is missing. */
export async function readJournal(
  runner: TaskRunner,
  directory: string,
  storeId: string,
  { position: from, reached }: Pick<CheckpointState, 'position' | 'reached'>,
  backlog: Backlog,
): Promise<FoundJournal> {
  const segments = new Map<number, Segment>()
  const segmentOf = (id: number | null): Segment => {
    const found = segments.get(id ?? 0)
    if (found !== undefined) return found
    const segment = new Segment(id ?? 0, segmentPath(directory, id ?? 0), 0, from, 0)
    segments.set(segment.id, segment)
    return segment
  }
  let operations = 0
  let lastFrame: FrameLocation | null = null
  for (let next = from; ;) {
    const answer = await scan(runner, { directory, storeId, from: next, windowBytes: WINDOW_BYTES })
    for (const record of answer.records) backlog.addRecovered(record, segmentOf)
    operations += answer.recordCount
    next = answer.next
    lastFrame = answer.lastFrame ?? lastFrame
    if (answer.end === 'more') continue
    const damage = answer.corruptAt ?? damageAtEnd(directory, answer, reached)
    if (damage === null) return { operations, end: next, lastFrame }
    const { path, offset } = damage
    const message =
      `the journal is damaged at offset ${offset} of ${path}: what was acknowledged behind it would be lost; ` +
      `nothing was changed`
    throw stateError('JOURNAL_CORRUPT', message, { path, offset })
  }
}

/** An error loses its code on the way from a worker; whatever it was, nothing is known of what the journal holds. */
async function scan(runner: TaskRunner, task: Omit<ScanJournalTask, 'kind'>): Promise<ScanJournalAnswer> {
  try {
    return await runner.run({ kind: 'scan-journal', ...task })
  } catch (error) {
    if (AgentStateError.is(error)) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw stateError('READ_FAILED', message, { path: task.directory, cause: error })
  }
}

/**
 * The place from which something is missing at the journal's end, or null. A torn append leaves its segment as long as it
 * was, and the frames that a checkpoint knew of.
 */
function damageAtEnd(
  directory: string,
  { next, segmentBytes }: ScanJournalAnswer,
  reached: number,
): ScanJournalAnswer['corruptAt'] {
  const path = segmentPath(directory, next.segment)
  if (!isSegmentSize(segmentBytes)) return { path, offset: Math.min(segmentBytes, next.offset) }
  return next.sequence < reached ? { path, offset: next.offset } : null
}
