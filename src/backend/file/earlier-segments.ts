/** The segments that earlier openings of a root have left in its journal. */
import { readFully, writeFully, type FileSystem } from './file-system.js'
import { decodeHeader, FRAME_HEADER_BYTES, verifyBody } from './frame.js'
import type { FoundJournal } from './recovery.js'
import { FIRST_SEGMENT_BYTES, listSegmentNames, SEGMENT_BYTES, segmentPath } from './segment.js'
import type { Spare } from './segment-supply.js'
import type { FrameLocation } from './tasks.js'

export interface EarlierSegments {
  /** To be filled anew as they are, also on a disk that has no room for others. */
  readonly reusable: readonly Spare[]
  /** Paths of the others: of no use once what they hold is durable elsewhere. */
  readonly unneeded: readonly string[]
  /** Higher than the id of any of them. */
  readonly nextId: number
}

/** After an unclean end none is used again: what can be read of them may never have reached the disk. */
export function findEarlierSegments(fs: FileSystem, directory: string, wasClean: boolean): EarlierSegments {
  const reusable: Spare[] = []
  const unneeded: string[] = []
  let nextId = 1
  for (const { id, path, isFile } of listSegmentNames(fs, directory)) {
    // Whatever has a segment's name is in the way of another one.
    nextId = id + 1
    if (!isFile) continue
    const { size = 0, links = 0 } = fs.lstat(path) ?? {}
    const isUsual = size === SEGMENT_BYTES || size === FIRST_SEGMENT_BYTES
    // A file that has other names too is somebody else's as well: a copy of the root made of hard links, say.
    if (wasClean && isUsual && links === 1) reusable.push({ id, path, bytes: size })
    else unneeded.push(path)
  }
  return { reusable, unneeded, nextId }
}

export function syncSegments(fs: FileSystem, paths: readonly string[]): void {
  for (const path of paths) {
    const fd = fs.open(path, 'read-write')
    try {
      fs.datasync(fd)
    } finally {
      fs.close(fd)
    }
  }
}

/**
 * Makes what was found durable where it is. After a sync that failed, the system shows what it could not write, but takes it
 * for written: no later sync makes it durable. So the last frame is written once more; those before it were durable before it
 * was written. Returns the segment in which the last frame is not any more what was found, or null.
 */
export function syncFound(
  fs: FileSystem,
  directory: string,
  { unneeded }: EarlierSegments,
  found: FoundJournal | null,
): string | null {
  if (found !== null && found.lastFrame !== null) {
    const path = segmentPath(directory, found.lastFrame.segment)
    if (!writeAgain(fs, path, found.lastFrame, found.end.previousCrc)) return path
  }
  syncSegments(fs, unneeded)
  return null
}

/** False: there is not the frame with this header CRC. */
function writeAgain(
  fs: FileSystem,
  path: string,
  { offset, bytes }: FrameLocation,
  headerCrc: number,
): boolean {
  const fd = fs.open(path, 'read-write')
  try {
    const frame = Buffer.allocUnsafeSlow(bytes)
    if (readFully(fs, fd, frame, offset) < bytes) return false
    const header = decodeHeader(frame, 0)
    if (header?.crc !== headerCrc || !verifyBody(header, frame.subarray(FRAME_HEADER_BYTES))) return false
    writeFully(fs, fd, frame, offset)
    fs.datasync(fd)
    return true
  } finally {
    fs.close(fd)
  }
}
