/** Looks at the store's own files: format, checkpoint, journal and directories. */
import { AgentStateError } from '../errors.js'
import { Backlog } from '../backend/file/backlog.js'
import { readCheckpointSlots, type CheckpointState } from '../backend/file/checkpoint.js'
import { errorCode } from '../backend/file/file-system.js'
import { readFormat } from '../backend/file/format.js'
import { scanJournal } from '../backend/file/journal-scan.js'
import { storeLayout } from '../backend/file/layout.js'
import { readJournal } from '../backend/file/recovery.js'
import { listSegments } from '../backend/file/segment.js'
import type { TaskRunner } from '../backend/file/task-runner.js'
import type { ScanJournalTask, TaskAnswers } from '../backend/file/tasks.js'
import { STORE_DIRECTORY } from '../names.js'
import { finding, type Finding } from './finding.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'

export type Report = (found: Finding) => void

/** Path of one of the store's own files below the root. */
export function ownPath(name: string): string {
  return `${STORE_DIRECTORY}/${name}`
}

/** The id of the store; null if it can't be made out, and nothing more can be checked. */
export function checkFormat(root: string, report: Report): string | null {
  const path = ownPath('format')
  try {
    const format = readFormat(fs, storeLayout(root).format)
    if (format !== null) return format.storeId
    const { checkpoint, journal } = storeLayout(root)
    // The format file is the last one to be made: before it there is no segment.
    const isNew = fs.lstat(checkpoint) === null && listSegments(fs, journal).length === 0
    const advice = 'restore it from a copy of this root'
    if (isNew)
      report(
        finding('unfinished', 'format', path, 'the root was not made to its end', {
          repair: 'makes it anew',
        }),
      )
    else
      report(
        finding('damage', 'format', path, 'the file that says which store this is is missing', { advice }),
      )
  } catch (error) {
    report(problem(error, 'format', path, 'restore it from a copy of this root'))
  }
  return null
}

/** What the checkpoint says; null if both of its copies are damaged. */
export function checkCheckpoint(
  root: string,
  storeId: string,
  isOwned: boolean,
  report: Report,
): CheckpointState | null {
  const path = ownPath('checkpoint')
  const advice = 'restore the whole root from a copy: what is acknowledged can only be told with it'
  try {
    const slots = readSlots(root, storeId, isOwned)
    const valid = slots.filter((slot) => slot !== null).sort((a, b) => b.generation - a.generation)
    const [newest] = valid
    if (newest === undefined) {
      report(finding('damage', 'checkpoint', path, 'both copies of the checkpoint are damaged', { advice }))
      return null
    }
    const repair = 'writes both copies again'
    if (valid.length < slots.length) {
      const which = slots[0] === null ? 'first' : 'second'
      report(
        finding(
          'damage',
          'checkpoint',
          path,
          `the ${which} of its two copies is damaged, the other is whole`,
          {
            repair,
          },
        ),
      )
    } else if (!isOwned && valid.some(({ generation }) => generation !== newest.generation)) {
      report(
        finding(
          'unfinished',
          'checkpoint',
          path,
          'an unclean end came between the writes of its two copies',
          {
            repair,
          },
        ),
      )
    }
    return newest.state
  } catch (error) {
    report(problem(error, 'checkpoint', path, advice))
    return null
  }
}

const READ_TRIES = 10

/** While the owner writes a copy it looks damaged; never both, and not for long. */
function readSlots(root: string, storeId: string, isOwned: boolean): ReturnType<typeof readCheckpointSlots> {
  for (let triesLeft = isOwned ? READ_TRIES : 1; ; triesLeft--) {
    const slots = readCheckpointSlots(fs, storeLayout(root).checkpoint, storeId)
    if (triesLeft === 1 || slots.every((slot) => slot !== null)) return slots
  }
}

export interface CheckedJournal {
  /** What is not in the tree. */
  readonly backlog: Backlog
  /** Records that the next opening reads. */
  readonly operations: number
}

/** Reads the journal as recovery does. Null if what it holds can't be told. */
export async function checkJournal(
  root: string,
  storeId: string,
  checkpoint: CheckpointState,
  report: Report,
): Promise<CheckedJournal | null> {
  const directory = storeLayout(root).journal
  const backlog = new Backlog(() => 0)
  let end: string | null = null
  const runner = readingRunner((answer) => {
    end = answer.end
  })
  if (checkpoint.clean) {
    checkNothingBehind(directory, storeId, checkpoint, report)
    return { backlog, operations: 0 }
  }
  try {
    const { operations } = await readJournal(runner, directory, storeId, checkpoint, backlog)
    if (end === 'torn')
      report(
        finding(
          'unfinished',
          'journal',
          ownPath('journal'),
          'an append was cut off; nothing acknowledged was behind it',
          {
            repair: 'goes on behind it',
          },
        ),
      )
    return { backlog, operations }
  } catch (error) {
    const advice = 'restore the whole root from a copy; the files in the tree are still readable as they are'
    report(problem(error, 'journal', journalPath(error), advice))
    return null
  }
}

/** A checkpoint that is older than the journal would let an opening write over what was acknowledged. */
function checkNothingBehind(
  directory: string,
  storeId: string,
  { position: from }: CheckpointState,
  report: Report,
): void {
  try {
    const { end, segmentBytes } = scanJournal(fs, {
      kind: 'scan-journal',
      directory,
      storeId,
      from,
      windowBytes: 0,
    })
    if (end !== 'more' && (end !== 'corrupt' || segmentBytes === 0)) return
    report(
      finding(
        'damage',
        'checkpoint',
        ownPath('checkpoint'),
        'it says that the journal is not needed, but the journal goes on behind it: the checkpoint is an older one',
        { advice: 'restore the whole root from one copy; do not open it before' },
      ),
    )
  } catch (error) {
    report(problem(error, 'journal', journalPath(error), 'see to it that the journal can be read'))
  }
}

/** Does what recovery asks of the workers in this thread, one window a turn. */
function readingRunner(onAnswer: (answer: TaskAnswers['scan-journal']) => void): TaskRunner {
  return {
    async run(task) {
      if (task.kind !== 'scan-journal') throw new TypeError(`an inspection has no use for '${task.kind}'`)
      await new Promise((resolve) => setImmediate(resolve))
      const answer = scanJournal(fs, task as ScanJournalTask)
      onAnswer(answer)
      return answer as TaskAnswers[typeof task.kind]
    },
    close: () => Promise.resolve(),
  }
}

function journalPath(error: unknown): string {
  if (AgentStateError.is(error) && 'path' in error) {
    const at = error.path.lastIndexOf(`/${STORE_DIRECTORY}/`)
    if (at !== -1) return error.path.slice(at + 1)
  }
  return ownPath('journal')
}

export function checkDirectories(root: string, isOwned: boolean, report: Report): void {
  const layout = storeLayout(root)
  for (const name of ['journal', 'tmp', 'preserved'] as const) {
    if (fs.lstat(layout[name])?.kind === 'directory') continue
    report(finding('unfinished', 'layout', ownPath(name), 'the directory is missing', { repair: 'makes it' }))
  }
  // While it is open, these are on their way into the tree.
  if (isOwned) return
  for (const { name, kind } of listIfThere(layout.tmp)) {
    if (kind !== 'file') continue
    const message = 'a file that was on its way into the tree when its process ended'
    report(finding('leftover', 'layout', ownPath(`tmp/${name}`), message, { repair: 'removes it' }))
  }
}

/** Files that were set aside because somebody edited them after an unclean end. Beside each lies a note of where it was. */
export function countPreserved(root: string): number {
  return listIfThere(storeLayout(root).preserved).filter(({ name }) => !name.endsWith('.json')).length
}

export function listIfThere(path: string): ReturnType<typeof fs.list> {
  try {
    return fs.list(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    throw error
  }
}

/** What kept something from being looked at, or what the store says of it. */
export function problem(
  error: unknown,
  part: Finding['part'],
  path: string,
  advice: string,
  more: Partial<Pick<Finding, 'namespace' | 'key'>> = {},
): Finding {
  const message = error instanceof Error ? error.message : String(error)
  const isDamage = AgentStateError.is(error) && !AgentStateError.is(error, 'READ_FAILED')
  if (isDamage) return finding('damage', part, path, message, { advice, ...more })
  return finding('unreadable', part, path, message, { advice: 'see to it that it can be read', ...more })
}
