import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { FrameEncoder, type CarriedRecord } from '../../../src/backend/file/frame-encoder.js'
import { FIRST_PREVIOUS_CRC } from '../../../src/backend/file/frame.js'
import { scanJournal } from '../../../src/backend/file/journal-scan.js'
import { segmentPath } from '../../../src/backend/file/segment.js'
import { storeIdBytes } from '../../../src/backend/file/store-id.js'
import type { JournalPosition, JournalRecord, ScanJournalAnswer } from '../../../src/backend/file/tasks.js'

export const STORE_ID = '0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f506'
export const OTHER_STORE_ID = '0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f507'
export const START: JournalPosition = { segment: 1, offset: 0, sequence: 1, previousCrc: FIRST_PREVIOUS_CRC }

/** A directory that goes away with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'agent-state-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function write(key: string, value: string | Uint8Array, revision = 1): CarriedRecord {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  const body = { kind: 'write', key, writer: null, writerAtS: null, anonymous: true, value: bytes } as const
  return { namespace: 'n', revision, atMs: 1_700_000_000_000, body }
}

/** A frame that was appended. */
export interface Appended {
  readonly segment: number
  readonly offset: number
  readonly bytes: Buffer
  readonly records: readonly CarriedRecord[]
}

/** Appends frames to segment files by the rules of the format, as the store's appender does. */
export class JournalBuilder {
  readonly directory: string
  readonly appended: Appended[] = []
  readonly #storeId: string
  readonly #encoder = new FrameEncoder()
  readonly #segments = new Map<number, Buffer>()
  next: JournalPosition

  constructor(directory: string, from: JournalPosition = START, storeId = STORE_ID) {
    mkdirSync(directory, { recursive: true })
    this.directory = directory
    this.next = from
    this.#storeId = storeId
  }

  path(segment: number): string {
    return segmentPath(this.directory, segment)
  }

  /** Goes on at the start of a new segment. `content`: what is left in it of an older use. */
  begin(segment: number, bytes: number, content?: Buffer): this {
    const file = Buffer.alloc(bytes)
    content?.copy(file)
    this.#segments.set(segment, file)
    this.next = { ...this.next, segment, offset: 0 }
    this.#store(segment)
    return this
  }

  append(...records: CarriedRecord[]): Appended {
    this.#encoder.reset()
    for (const record of records) this.#encoder.addRecord(record)
    const storeId = storeIdBytes(this.#storeId)
    const { bytes, crc } = this.#encoder.seal({ ...this.next, storeId })
    const { segment, offset, sequence } = this.next
    const file = this.#segments.get(segment)
    if (file === undefined || offset + bytes.length > file.length) throw new Error('begin a segment first')
    file.set(bytes, offset)
    this.#store(segment)
    this.next = { segment, offset: offset + bytes.length, sequence: sequence + 1, previousCrc: crc }
    const frame = { segment, offset, bytes: Buffer.from(bytes), records }
    this.appended.push(frame)
    return frame
  }

  /** Changes the bytes of a segment file. */
  damage(segment: number, change: (bytes: Buffer) => void): void {
    change(this.#segments.get(segment) as Buffer)
    this.#store(segment)
  }

  #store(segment: number): void {
    writeFileSync(this.path(segment), this.#segments.get(segment) as Buffer)
  }
}

export interface Scanned {
  readonly records: readonly JournalRecord[]
  /** The windows' sizes in records. */
  readonly windows: readonly number[]
  readonly last: ScanJournalAnswer
}

/** Scans to the end. */
export function scan(
  directory: string,
  options: { from?: JournalPosition; windowBytes?: number; fs?: FileSystem; storeId?: string } = {},
): Scanned {
  const { windowBytes = 1024 * 1024, fs = nodeFileSystem, storeId = STORE_ID } = options
  const records: JournalRecord[] = []
  const windows: number[] = []
  let from = options.from ?? START
  for (;;) {
    const answer = scanJournal(fs, { kind: 'scan-journal', directory, storeId, from, windowBytes })
    records.push(...answer.records)
    if (answer.end !== 'more') return { records, windows, last: answer }
    windows.push(answer.records.length)
    if (answer.next.sequence <= from.sequence) throw new Error('the window made no progress')
    from = answer.next
  }
}

/** The records with their values, read from where they are said to be. */
export function resolveValues(directory: string, records: readonly JournalRecord[]): CarriedRecord[] {
  return records.map(({ body, ...common }) => {
    if (body.kind !== 'write') return { ...common, body }
    const { segment, position, size, crc: _crc, ...rest } = body
    const value = readFileSync(segmentPath(directory, segment)).subarray(position, position + size)
    return { ...common, body: { ...rest, value } }
  })
}
