/** The way of a plan into the journal, over files in memory: what group commits and upkeep work on. */
import type { Writer } from '../../../src/api.js'
import type { Change, Plan } from '../../../src/backend/backend.js'
import { Backlog } from '../../../src/backend/file/backlog.js'
import type { CheckpointFile, CheckpointState } from '../../../src/backend/file/checkpoint.js'
import { Checkpointer } from '../../../src/backend/file/checkpointer.js'
import { decodeRecords } from '../../../src/backend/file/frame-decoder.js'
import { decodeHeader, FRAME_HEADER_BYTES } from '../../../src/backend/file/frame.js'
import { GroupCommit } from '../../../src/backend/file/group-commit.js'
import { Journal } from '../../../src/backend/file/journal.js'
import { SEGMENT_BYTES, segmentPath } from '../../../src/backend/file/segment.js'
import type { JournalPosition, JournalRecord, Task } from '../../../src/backend/file/tasks.js'
import { stateError } from '../../../src/errors.js'
import { START, STORE_ID } from './journal-builder.js'
import { MemoryFiles } from './memory-files.js'
import { ScriptedRunner } from './scripted-runner.js'

export const DIRECTORY = '/journal'

/** A checkpoint file that tells what was written to it. */
export class WrittenCheckpoint {
  readonly written: CheckpointState[] = []
  /** Waited for before a write ends. */
  before: () => Promise<void> = () => Promise.resolve()
  state: CheckpointState
  isClosed = false
  #last: Promise<void> = Promise.resolve()

  constructor(state: Partial<CheckpointState> = {}) {
    this.state = { clean: true, epoch: 0, ceiling: 0, position: START, reached: 1, ...state }
  }

  write(state: CheckpointState): Promise<void> {
    this.#last = this.#last.then(async () => {
      await this.before()
      this.written.push(state)
      this.state = state
    })
    return this.#last
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  /** As those take it that know the real one only. */
  get file(): CheckpointFile {
    return this as unknown as CheckpointFile
  }
}

export interface Committing {
  readonly fs: MemoryFiles
  readonly runner: ScriptedRunner
  readonly journal: Journal
  readonly backlog: Backlog
  readonly checkpoint: WrittenCheckpoint
  readonly checkpointer: Checkpointer
  readonly commits: GroupCommit
  /** Causes of failures of the store. */
  readonly failures: unknown[]
  /** What preparing a segment fails with; null: it succeeds. */
  disk: string | null
  committed: number
  noRoom: number
}

/** The journal has so many empty segments, the first of them begun. */
export async function startCommitting(stuckKeysMax = 1000, segments = 1): Promise<Committing> {
  const fs = new MemoryFiles()
  const runner = new ScriptedRunner()
  const checkpoint = new WrittenCheckpoint()
  const checkpointer = new Checkpointer(checkpoint.file)
  const spares = Array.from({ length: segments }, (_, index) => {
    const path = segmentPath(DIRECTORY, index + 1)
    fs.make(path, SEGMENT_BYTES)
    return { id: index + 1, path, bytes: SEGMENT_BYTES }
  })
  const journal = new Journal(
    { fs, runner, directory: DIRECTORY, storeId: STORE_ID, fileMode: 0o600, onSpace: () => {} },
    { ...START, segment: segments + 1 },
    spares,
  )
  await journal.start()
  await checkpointer.begin(journal)
  const backlog = new Backlog(() => 0)
  const failures: unknown[] = []
  const commits = new GroupCommit({
    journal,
    backlog,
    checkpointer,
    stuckKeysMax,
    stuckBytesMax: 64 * 1024 * 1024,
    onFailure: (cause) => {
      failures.push(cause)
      return stateError('STORE_FAILED', 'the store has failed', { cause })
    },
    onCommitted: () => void made.committed++,
    onNoRoom: () => void made.noRoom++,
  })
  const made: Committing = {
    fs,
    runner,
    journal,
    backlog,
    checkpoint,
    checkpointer,
    commits,
    failures,
    disk: null,
    committed: 0,
    noRoom: 0,
  }
  runner.script = (task: Task) => {
    if (task.kind === 'prepare-segment') {
      if (made.disk !== null) return { failure: { code: made.disk, message: 'the disk is full' } }
      fs.make(task.path, task.bytes)
    } else if (task.kind === 'remove-segments') {
      for (const removed of task.paths) fs.unlink(removed)
    }
    return { failure: null }
  }
  return made
}

export function written(key: string, value: string | Uint8Array = '', writer: Writer | null = null): Change {
  const bytes = Buffer.from(value as string)
  return {
    kind: 'write',
    key,
    value: bytes,
    size: bytes.length,
    writer,
    writerAtS: null,
    anonymous: writer === null,
  }
}

export function planOf(namespace: string, ...changes: (Change | 'create' | 'remove')[]): Plan {
  const units = changes.map((change) =>
    typeof change === 'string' ? { kind: change } : { kind: 'change' as const, changes: [change] },
  )
  return { namespace, units, atMs: 1_700_000_000_000, expected: new Map() }
}

export interface FoundFrame {
  readonly sequence: number
  readonly records: JournalRecord[]
}

/** The frames of a segment's file, the stale ones behind the last excluded. */
export function framesOf(file: Buffer, segment: number): FoundFrame[] {
  const found: FoundFrame[] = []
  for (let offset = 0, last = -1; ;) {
    const header = decodeHeader(file, offset)
    if (header === null || header.sequence < last) return found
    const start = offset + FRAME_HEADER_BYTES
    const body = file.subarray(start, start + header.bodyBytes)
    const { sequence } = header
    found.push({ sequence, records: decodeRecords(body, header, { segment, position: start })! })
    offset += Math.ceil((FRAME_HEADER_BYTES + header.bodyBytes) / 4096) * 4096
    last = sequence
  }
}

export function positionOf(position: JournalPosition): string {
  return `${position.segment}:${position.offset}`
}
