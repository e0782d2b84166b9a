/** The segments that earlier openings of a root have left in its journal. */
import type { FileSystem } from './file-system.js'
import type { Spare } from './journal.js'
import { FIRST_SEGMENT_BYTES, listSegmentNames, SEGMENT_BYTES } from './segment.js'

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
