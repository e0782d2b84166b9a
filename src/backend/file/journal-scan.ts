/**
 * Follows the chain of frames (layout: `frame.ts`) and judges where it ends. Holds nothing between two calls: each
 * reads one window from the position it is given, so that a backlog of any size is read in bounded memory; only a frame
 * larger than a window is read whole.
 *
 * Where the expected frame is not found, either an append was cut off there, or acknowledged bytes were damaged (I1).
 * A frame is durable before the next one is written, so the header of any later frame proves damage; without one,
 * nothing that was acknowledged can be behind that place. Only headers are trusted for this that lie where they say they
 * do, and not inside of a frame, where the bytes of values are.
 *
 * What is left in a segment that is used again can't be taken for a later frame: it is used again only when a durable
 * checkpoint is behind all of its frames, so these have smaller sequences than any that is expected since.
 */
import { crc32 } from 'node:zlib'
import { CollapsedRecords } from './collapsed-records.js'
import { decodeRecords } from './frame-decoder.js'
import {
  decodeHeader,
  frameBytes,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  liesAt,
  verifyBody,
  type FrameHeader,
} from './frame.js'
import type { FileSystem } from './file-system.js'
import { readFailed, SegmentReader } from './segment-reader.js'
import { listSegments, segmentPath, type SegmentFile } from './segment.js'
import { storeIdBytes } from './store-id.js'
import type {
  FrameLocation,
  JournalPosition,
  JournalRecord,
  ScanJournalAnswer,
  ScanJournalTask,
} from './tasks.js'

const PROBE_BYTES = 1024 * 1024

interface Window {
  readonly records: CollapsedRecords
  readonly next: JournalPosition
  /** Null: there is none. */
  readonly lastFrame: FrameLocation | null
}

/** Reads the next window of the journal; throws `READ_FAILED` if the file system refuses to read. */
export function scanJournal(fs: FileSystem, task: ScanJournalTask): ScanJournalAnswer {
  const storeId = storeIdBytes(task.storeId)
  const here = readWindowAt(fs, task, storeId, task.from)
  if (here !== null && here.lastFrame !== null) return more(here)

  const segments = listForScan(fs, task.directory)
  const moved = findContinuation(fs, segments, storeId, task.from)
  if (moved === null) return judgeEnd(fs, task, storeId, segments, task.from)
  const there = readWindowAt(fs, task, storeId, moved)
  if (there !== null && there.lastFrame !== null) return more(there)
  return judgeEnd(fs, task, storeId, segments, moved)
}

function more({ records, next, lastFrame }: Window): ScanJournalAnswer {
  const { count: recordCount } = records
  return {
    records: records.finish(),
    recordCount,
    next,
    lastFrame,
    end: 'more',
    segmentBytes: 0,
    corruptAt: null,
  }
}

function readWindowAt(
  fs: FileSystem,
  task: ScanJournalTask,
  storeId: Uint8Array,
  position: JournalPosition,
): Window | null {
  const segment = { id: position.segment, path: segmentPath(task.directory, position.segment) }
  return SegmentReader.use(fs, segment, (reader) => readWindow(reader, storeId, position, task.windowBytes))
}

/** The frames of one segment from a position on, up to the first that is not whole in the window. */
function readWindow(
  reader: SegmentReader,
  storeId: Uint8Array,
  from: JournalPosition,
  windowBytes: number,
): Window {
  let bytes = reader.read(from.offset, Math.max(windowBytes, FRAME_ALIGNMENT))
  const records = new CollapsedRecords()
  let next = from
  let lastFrame: FrameLocation | null = null
  for (;;) {
    const start = next.offset - from.offset
    const header = decodeHeader(bytes, start)
    if (header === null || !isExpected(header, storeId, next)) break
    const end = start + FRAME_HEADER_BYTES + header.bodyBytes
    if (end > bytes.length) {
      if (lastFrame !== null) break
      bytes = reader.read(from.offset, end)
    }
    const found = readBody(bytes.subarray(start + FRAME_HEADER_BYTES, end), header)
    if (found === null) break
    for (const record of found) records.add(record)
    lastFrame = { segment: header.segment, offset: header.offset, bytes: end - start }
    next = behind(header)
  }
  return { records, next, lastFrame }
}

function readBody(body: Buffer, header: FrameHeader): JournalRecord[] | null {
  if (!verifyBody(header, body)) return null
  return decodeRecords(body, header, {
    segment: header.segment,
    position: header.offset + FRAME_HEADER_BYTES,
  })
}

function isExpected(header: FrameHeader, storeId: Uint8Array, position: JournalPosition): boolean {
  return (
    liesAt(header, storeId, position.segment, position.offset) &&
    header.sequence === position.sequence &&
    header.previousCrc === position.previousCrc
  )
}

function behind(header: FrameHeader): JournalPosition {
  return {
    segment: header.segment,
    offset: header.offset + frameBytes(header.bodyBytes),
    sequence: header.sequence + 1,
    previousCrc: header.crc,
  }
}

/**
 * The expected frame at the start of another segment. Which one is for the link to the previous frame to say, not for
 * the order of the ids: a segment for one large frame may have been made when the next one was prepared already. Before one
 * that is whole, openings that were cut off may have left the same one torn.
 */
function findContinuation(
  fs: FileSystem,
  segments: readonly SegmentFile[],
  storeId: Uint8Array,
  position: JournalPosition,
): JournalPosition | null {
  const found = segments.flatMap((segment) => {
    const start: JournalPosition = { ...position, segment: segment.id, offset: 0 }
    const header = SegmentReader.use(fs, segment, (reader) =>
      decodeHeader(reader.read(0, FRAME_HEADER_BYTES), 0),
    )
    return header !== null && isExpected(header, storeId, start) ? [{ segment, header, start }] : []
  })
  // One alone is read anyhow.
  const whole =
    found.length > 1
      ? found.find(({ segment, header }) =>
          SegmentReader.use(fs, segment, (reader) => isWhole(reader, header)),
        )
      : undefined
  return (whole ?? found[0])?.start ?? null
}

/** There is no expected frame at `position`: says why. */
function judgeEnd(
  fs: FileSystem,
  task: ScanJournalTask,
  storeId: Uint8Array,
  segments: readonly SegmentFile[],
  position: JournalPosition,
): ScanJournalAnswer {
  const path = segmentPath(task.directory, position.segment)
  const found = SegmentReader.use(fs, { id: position.segment, path }, (reader) => ({
    block: reader.read(position.offset, FRAME_ALIGNMENT),
    size: reader.size,
  }))
  const answer = {
    records: [],
    recordCount: 0,
    next: position,
    lastFrame: null,
    segmentBytes: found?.size ?? 0,
    corruptAt: null,
  }
  const later = findLaterFrame(fs, segments, storeId, position)
  if (later !== null)
    return { ...answer, end: 'corrupt', corruptAt: badPlace(task.directory, position, later) }
  // A segment is durable before a checkpoint names it.
  if (found === null) return { ...answer, end: 'corrupt', corruptAt: { path, offset: position.offset } }
  return { ...answer, end: found.block.some((byte) => byte !== 0) ? 'torn' : 'clean' }
}

function badPlace(
  directory: string,
  position: JournalPosition,
  later: FrameHeader,
): ScanJournalAnswer['corruptAt'] {
  // The frame after the missing one is not the first of another segment: so the missing one was.
  const beganSegment =
    later.sequence === position.sequence + 1 && later.segment !== position.segment && later.offset > 0
  if (beganSegment) return { path: segmentPath(directory, later.segment), offset: 0 }
  return { path: segmentPath(directory, position.segment), offset: position.offset }
}

/** The first frame that was written after the expected one, or the expected one where it does not fit the chain. */
function findLaterFrame(
  fs: FileSystem,
  segments: readonly SegmentFile[],
  storeId: Uint8Array,
  position: JournalPosition,
): FrameHeader | null {
  let first: FrameHeader | null = null
  for (const segment of segments) {
    const found = SegmentReader.use(fs, segment, (reader) => laterFrameIn(reader, storeId, position))
    if (found !== null && (first === null || found.sequence < first.sequence)) first = found
  }
  return first
}

function laterFrameIn(
  reader: SegmentReader,
  storeId: Uint8Array,
  position: JournalPosition,
): FrameHeader | null {
  const { id } = reader.segment
  // Before the position are frames that were read, whose values may contain anything.
  let offset = id === position.segment ? position.offset : 0
  let chunkStart = offset
  let chunk = reader.read(offset, PROBE_BYTES)
  while (offset + FRAME_HEADER_BYTES <= reader.size) {
    if (offset + FRAME_HEADER_BYTES > chunkStart + chunk.length) {
      chunkStart = offset
      chunk = reader.read(offset, PROBE_BYTES)
      if (chunk.length < FRAME_HEADER_BYTES) break
    }
    const header = decodeHeader(chunk, offset - chunkStart)
    if (header === null || !liesAt(header, storeId, id, offset)) {
      offset += FRAME_ALIGNMENT
      continue
    }
    if (header.sequence > position.sequence) return header
    const whole = isWhole(reader, header)
    if (header.sequence === position.sequence && whole) return header
    // No later frame can be inside of one that is whole, or that was torn at the position: what looks like one there is
    // a value. Inside of one that is not whole there may be, written over what is left of an older use.
    offset += whole || isExpected(header, storeId, position) ? frameBytes(header.bodyBytes) : FRAME_ALIGNMENT
  }
  return null
}

function isWhole(reader: SegmentReader, header: FrameHeader): boolean {
  const start = header.offset + FRAME_HEADER_BYTES
  let crc = 0
  for (let done = 0; done < header.bodyBytes;) {
    const chunk = reader.read(start + done, Math.min(PROBE_BYTES, header.bodyBytes - done))
    if (chunk.length === 0) return false
    crc = crc32(chunk, crc)
    done += chunk.length
  }
  return crc === header.bodyCrc
}

function listForScan(fs: FileSystem, directory: string): SegmentFile[] {
  try {
    return listSegments(fs, directory)
  } catch (error) {
    throw readFailed(directory, error)
  }
}
