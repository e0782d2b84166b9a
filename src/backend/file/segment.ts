import type { FileSystem } from './file-system.js'
import type { PrepareSegmentTask, TaskAnswers } from './tasks.js'

const MIB = 1024 * 1024
export const FIRST_SEGMENT_BYTES = 4 * MIB
export const SEGMENT_BYTES = 16 * MIB

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

/** The id of a segment from its file name, or null if it is not one's name. */
export function parseSegmentName(_name: string): number | null {
  throw new Error('not written yet')
}

/** The segments in a directory, by id; none if the directory is missing. */
export function listSegments(_fs: FileSystem, _directory: string): SegmentFile[] {
  throw new Error('not written yet')
}

export function prepareSegment(_fs: FileSystem, _task: PrepareSegmentTask): TaskAnswers['prepare-segment'] {
  throw new Error('not written yet')
}
