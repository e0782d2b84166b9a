/**
 * Carrier writes what is in the backlog to the end of the journal again, under the revisions that it has: what is stuck and
 * alone holds old segments back, and everything that an opening found. What is superseded meanwhile is left out; what can't
 * be read stays where it is; the rest moves in the moment in which its frame is durable.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { Backlog, Pending, PendingNamespace } from './backlog.js'
import type { FileSystem } from './file-system.js'
import { FrameEncoder, type CarriedRecord } from './frame-encoder.js'
import type { GroupCommit } from './group-commit.js'
import { JournalValues } from './journal-values.js'
import type { ValueLocation } from './tasks.js'

export interface CarrierOptions {
  readonly fs: FileSystem
  readonly backlog: Backlog
  readonly commits: GroupCommit
}

/** Why not everything was carried. */
export interface CarryFailure {
  /** The segment in which something could not be read; null: there was no room, or the store has failed. */
  readonly unreadable: string | null
}

/** As an error of an opening. */
export function notCarried({ unreadable: path }: CarryFailure): AgentStateError {
  return path === null
    ? stateError('NO_SPACE', 'there is no room to write what has to be recovered', {})
    : stateError('READ_FAILED', `what has to be recovered could not be read from ${path}`, { path })
}

/** Of records that one frame carries, with their values. */
const FRAME_BYTES_MAX = 4 * 1024 * 1024
/** What a record takes besides its value, roughly. */
const RECORD_BYTES = 256

type Carried = { readonly namespace: string; readonly pending: Pending | PendingNamespace }

export class Carrier {
  readonly #options: CarrierOptions
  readonly #encoder = new FrameEncoder()

  constructor(options: CarrierOptions) {
    this.#options = options
  }

  /** In frames of bounded size. Null: everything was carried. */
  async carry(): Promise<CarryFailure | null> {
    let unreadable: string | null = null
    const noteUnreadable = (segment: string): void => {
      unreadable = segment
    }
    for (const frame of framesOf(this.#options.backlog)) {
      if (!(await this.#carryFrame(frame, noteUnreadable))) return { unreadable: null }
    }
    return unreadable === null ? null : { unreadable }
  }

  /** False: there is no room for it. */
  #carryFrame(frame: readonly Carried[], noteUnreadable: (segment: string) => void): Promise<boolean> {
    const { fs, backlog, commits } = this.#options
    const current: Carried[] = []
    const encode = (): FrameEncoder => {
      this.#encoder.reset()
      const values = new JournalValues(fs)
      for (const carried of frame) {
        if (!isCurrent(backlog, carried)) continue
        const records = toRecords(values, carried)
        if (records.length === 0) {
          noteUnreadable(carried.pending.segment.path)
          continue
        }
        for (const record of records) this.#encoder.addRecord(record)
        current.push(carried)
      }
      values.close()
      return this.#encoder
    }
    return commits.carry(encode, ({ segment, offset }) => {
      let value = 0
      for (const carried of current) {
        const { pending } = carried
        const isWrite = 'kind' in pending && pending.kind === 'write'
        const position = isWrite ? offset + this.#encoder.valueOffsets[value++]! : 0
        if (isCurrent(backlog, carried)) backlog.move(pending, segment, position)
      }
    })
  }
}

/** About what it takes in a frame. */
function carriedBytes({ pending }: Carried): number {
  const value = 'size' in pending ? pending.size : 0
  const known = 'known' in pending ? (pending.known?.bytes ?? 0) : 0
  return RECORD_BYTES + value + known
}

/** A copy: the backlog changes while it is carried. */
function framesOf(backlog: Backlog): Carried[][] {
  const frames: Carried[][] = []
  let bytes = Infinity
  const add = (carried: Carried): void => {
    if (bytes >= FRAME_BYTES_MAX) {
      frames.push([])
      bytes = 0
    }
    frames.at(-1)!.push(carried)
    bytes += carriedBytes(carried)
  }
  for (const { name: namespace, change, entries } of backlog) {
    if (change !== null) add({ namespace, pending: change })
    for (const pending of entries.values()) add({ namespace, pending })
  }
  return frames
}

/** What a crash may have left in the tree of an earlier content: recovery must know it from a hand edit. */
function supersededOf({ namespace, pending }: Carried): CarriedRecord[] {
  if (!('known' in pending) || pending.known === null) return []
  const { key, revision, atMs } = pending
  const contents = pending.known.packed(pending.kind === 'write' ? pending : null)
  if (contents.length === 0) return []
  return [{ namespace, revision, atMs, body: { kind: 'superseded', key, contents } }]
}

function isCurrent(backlog: Backlog, { namespace, pending }: Carried): boolean {
  const found = backlog.get(namespace)
  return 'key' in pending ? found?.entries.get(pending.key) === pending : found?.change === pending
}

/** What says the same again. None if the value can't be read: the materializer has said so. */
function toRecords(values: JournalValues, carried: Carried): CarriedRecord[] {
  const { namespace, pending } = carried
  const { revision, atMs } = pending
  const common = { namespace, revision, atMs }
  if (!('kind' in pending)) {
    const { change, removedAtMs } = pending
    const remove = { ...common, atMs: removedAtMs ?? atMs, body: { kind: 'remove' } } as const
    const create = { ...common, body: { kind: 'create' } } as const
    return { create: [create], remove: [remove], recreate: [remove, create] }[change]
  }
  const superseded = supersededOf(carried)
  if (pending.kind === 'delete')
    return [{ ...common, body: { kind: 'delete', key: pending.key } }, ...superseded]
  const { key, writer, writerAtS, anonymous, segment, position, size, crc } = pending
  const value = readValue(values, { segment: segment.path, position, size, crc })
  if (value === null) return []
  return [{ ...common, body: { kind: 'write', key, writer, writerAtS, anonymous, value } }, ...superseded]
}

function readValue(values: JournalValues, location: ValueLocation): Uint8Array | null {
  try {
    const value = new Uint8Array(location.size)
    return values.read(location, value) ? value : null
  } catch {
    return null
  }
}
