/** The frames that lie in the segments of a root, found by their headers alone. */
import { readdirSync, readFileSync } from 'node:fs'
import { readCheckpoint } from '../../../src/backend/file/checkpoint.js'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import { readFormat } from '../../../src/backend/file/format.js'
import {
  decodeHeader,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameBytes,
  type FrameHeader,
} from '../../../src/backend/file/frame.js'
import { parseSegmentName } from '../../../src/backend/file/segment.js'

export interface FoundFrame {
  /** Name of the segment's file. */
  readonly segment: string
  readonly header: FrameHeader
  readonly offset: number
  /** Behind what its checksums cover, and behind what it is padded with. */
  readonly usedEnd: number
  readonly end: number
}

export interface FoundJournal {
  /** Size of each segment by its name. */
  readonly segments: ReadonlyMap<string, number>
  /** Frames that recovery needs, in the order in which they were appended, and those that it does not. */
  readonly needed: readonly FoundFrame[]
  readonly unneeded: readonly FoundFrame[]
}

export function findJournal(root: string): FoundJournal {
  const own = `${root}/.agent_state`
  const { storeId } = readFormat(nodeFileSystem, `${own}/format`)!
  const { position } = readCheckpoint(nodeFileSystem, `${own}/checkpoint`, storeId).state
  const contents = readdirSync(`${own}/journal`).map(
    (name) => [name, readFileSync(`${own}/journal/${name}`)] as const,
  )
  const frames = contents
    .flatMap(([name, content]) => framesIn(name, content))
    .sort((one, two) => one.header.sequence - two.header.sequence)
  return {
    segments: new Map(contents.map(([name, { length }]) => [name, length])),
    needed: frames.filter(({ header }) => header.sequence >= position.sequence),
    unneeded: frames.filter(({ header }) => header.sequence < position.sequence),
  }
}

/** What looks like a frame inside of another one is a value. */
function framesIn(segment: string, content: Buffer): FoundFrame[] {
  const frames: FoundFrame[] = []
  for (let offset = 0; offset < content.length;) {
    const header = decodeHeader(content, offset)
    if (header === null || header.segment !== parseSegmentName(segment) || header.offset !== offset) {
      offset += FRAME_ALIGNMENT
      continue
    }
    const usedEnd = offset + FRAME_HEADER_BYTES + header.bodyBytes
    const end = offset + frameBytes(header.bodyBytes)
    frames.push({ segment, header, offset, usedEnd, end })
    offset = end
  }
  return frames
}
