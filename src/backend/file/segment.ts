/**
 * Segment files of the journal: their names, and making new ones. A segment is filled with zeros and durable before
 * its first frame, so that an append changes neither its size nor its place on the disk, and a sync of its data is
 * enough. Zeros are written, not only reserved: blocks that were never written would make the file system note each
 * first write in its own journal.
 */
import { Directories } from './directories.js'
import { errorCode, syncDirectory, systemError, writeFully, type FileSystem } from './file-system.js'
import { FRAME_ALIGNMENT } from './frame.js'
import { parentOf } from './layout.js'
import type { DoneAnswer, PrepareSegmentTask, RemoveSegmentsTask } from './tasks.js'

const MIB = 1024 * 1024
export const FIRST_SEGMENT_BYTES = 4 * MIB
export const SEGMENT_BYTES = 16 * MIB

const NAME = /^[0-9a-f]{16}$/

export interface SegmentFile {
  readonly id: number
  readonly path: string
}

export function segmentName(id: number): string {
  return id.toString(16).padStart(16, '0')
}

export function segmentPath(directory: string, id: number): string {
  return `${directory}/${segmentName(id)}`
}

/** Whether a segment that was prepared can have this size; a larger one than usual was made for one large frame. */
export function isSegmentSize(bytes: number): boolean {
  return (
    bytes === FIRST_SEGMENT_BYTES ||
    bytes === SEGMENT_BYTES ||
    (bytes > SEGMENT_BYTES && bytes % FRAME_ALIGNMENT === 0)
  )
}

/** Ids are counted up from 1; none of ours comes near it. */
const ID_MAX = 2 ** 48

/** The id of a segment from its file name, or null if it is not one's name. */
export function parseSegmentName(name: string): number | null {
  if (!NAME.test(name)) return null
  const id = Number.parseInt(name, 16)
  return id <= ID_MAX ? id : null
}

/** The segments in a directory, by id; none if the directory is missing. */
export function listSegments(fs: FileSystem, directory: string): SegmentFile[] {
  return listSegmentNames(fs, directory).flatMap(({ id, path, isFile }) => (isFile ? [{ id, path }] : []))
}

/** What has the name of a segment, by id, whatever it is. */
export function listSegmentNames(
  fs: FileSystem,
  directory: string,
): (SegmentFile & { readonly isFile: boolean })[] {
  const segments: (SegmentFile & { readonly isFile: boolean })[] = []
  for (const { name, kind } of listIfPresent(fs, directory)) {
    const id = parseSegmentName(name)
    if (id !== null) segments.push({ id, path: segmentPath(directory, id), isFile: kind === 'file' })
  }
  return segments.sort((a, b) => a.id - b.id)
}

/** A failed one leaves no file, so that a full disk does not get fuller. */
export function prepareSegment(fs: FileSystem, task: PrepareSegmentTask): DoneAnswer {
  try {
    requireOwnDirectory(fs, parentOf(task.path))
    // What a crash left of an earlier attempt may be shorter, or not be durable.
    removeIfPresent(fs, task.path)
    writeZeros(fs, task)
    syncDirectory(fs, parentOf(task.path))
    return { failure: null }
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') tryToRemove(fs, task.path)
    const message = `The journal could not be given another segment (${task.path}): ${String(error)}`
    return { failure: { code: errorCode(error), message } }
  }
}

/** Deletes segments that are not needed, and makes that durable. */
export function removeSegments(fs: FileSystem, { paths }: RemoveSegmentsTask): DoneAnswer {
  const [first] = paths
  if (first === undefined) return { failure: null }
  try {
    requireOwnDirectory(fs, parentOf(first))
    for (const path of paths) removeIfPresent(fs, path)
    syncDirectory(fs, parentOf(first))
    return { failure: null }
  } catch (error) {
    return { failure: { code: errorCode(error), message: String(error) } }
  }
}

/** Somebody may have put a symlink in the place of the journal's directory, or of the store's that it lies in. */
function requireOwnDirectory(fs: FileSystem, directory: string): void {
  const root = parentOf(parentOf(directory))
  if (new Directories(fs, root).isReal(directory)) return
  throw systemError('ENOTDIR', `the journal's directory is not where it was: ${directory}`)
}

function writeZeros(fs: FileSystem, { path, bytes, fileMode }: PrepareSegmentTask): void {
  const fd = fs.open(path, 'create-exclusive', fileMode)
  try {
    const zeros = Buffer.alloc(Math.min(MIB, bytes))
    for (let position = 0; position < bytes; position += zeros.length) {
      writeFully(fs, fd, zeros.subarray(0, Math.min(zeros.length, bytes - position)), position)
      // Piece by piece: the journal's own syncs would wait behind one of the whole.
      fs.datasync(fd)
    }
    fs.sync(fd)
  } finally {
    fs.close(fd)
  }
}

function removeIfPresent(fs: FileSystem, path: string): void {
  if (fs.lstat(path) !== null) fs.unlink(path)
}

function tryToRemove(fs: FileSystem, path: string): void {
  try {
    removeIfPresent(fs, path)
  } catch {
    // The first failure is the one to report; the next attempt removes the file.
  }
}

function listIfPresent(fs: FileSystem, directory: string): ReturnType<FileSystem['list']> {
  try {
    return fs.list(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
