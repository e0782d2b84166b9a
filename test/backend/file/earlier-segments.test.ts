import { linkSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { findEarlierSegments } from '../../../src/backend/file/earlier-segments.js'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES, segmentPath } from '../../../src/backend/file/segment.js'
import { temporaryDirectory } from './journal-builder.js'

function directoryWith(...sizes: readonly number[]): string {
  const directory = temporaryDirectory()
  sizes.forEach((bytes, index) => {
    const path = segmentPath(directory, index + 1)
    writeFileSync(path, '')
    truncateSync(path, bytes)
  })
  return directory
}

test('what a clean end left is filled anew, if it has a usual size', () => {
  const directory = directoryWith(SEGMENT_BYTES, 4096, FIRST_SEGMENT_BYTES, SEGMENT_BYTES + 4096)
  expect(findEarlierSegments(nodeFileSystem, directory, true)).toEqual({
    reusable: [
      { id: 1, path: segmentPath(directory, 1), bytes: SEGMENT_BYTES },
      { id: 3, path: segmentPath(directory, 3), bytes: FIRST_SEGMENT_BYTES },
    ],
    unneeded: [segmentPath(directory, 2), segmentPath(directory, 4)],
    nextId: 5,
  })
})

test('what an unclean end left is not written to again (I8)', () => {
  const directory = directoryWith(SEGMENT_BYTES, FIRST_SEGMENT_BYTES)
  expect(findEarlierSegments(nodeFileSystem, directory, false)).toEqual({
    reusable: [],
    unneeded: [segmentPath(directory, 1), segmentPath(directory, 2)],
    nextId: 3,
  })
})

test('a new journal begins with the first id', () => {
  expect(findEarlierSegments(nodeFileSystem, directoryWith(), true)).toEqual({
    reusable: [],
    unneeded: [],
    nextId: 1,
  })
})

test('one that has other names too is not written to: it is somebody else’s as well', () => {
  const directory = directoryWith(SEGMENT_BYTES, SEGMENT_BYTES)
  linkSync(segmentPath(directory, 1), `${directory}/elsewhere`)
  expect(findEarlierSegments(nodeFileSystem, directory, true)).toMatchObject({
    reusable: [{ id: 2 }],
    unneeded: [segmentPath(directory, 1)],
  })
})

test('a new segment gets no name that is taken by something else', () => {
  const directory = directoryWith(SEGMENT_BYTES)
  mkdirSync(segmentPath(directory, 7))
  expect(findEarlierSegments(nodeFileSystem, directory, true)).toMatchObject({ unneeded: [], nextId: 8 })
})
