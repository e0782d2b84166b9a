import { linkSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Backlog } from '../../../src/backend/file/backlog.js'
import { findEarlierSegments, syncFound } from '../../../src/backend/file/earlier-segments.js'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { readJournal, type FoundJournal } from '../../../src/backend/file/recovery.js'
import { runTask } from '../../../src/backend/file/run-task.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES, segmentPath } from '../../../src/backend/file/segment.js'
import { JournalBuilder, START, STORE_ID, temporaryDirectory, write } from './journal-builder.js'
import { ScriptedRunner } from './scripted-runner.js'

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

describe('what was found', () => {
  async function foundJournal(directory: string): Promise<FoundJournal> {
    const runner = new ScriptedRunner()
    runner.script = (task) => runTask(nodeFileSystem, task)
    const from = { position: START, reached: 1 }
    return readJournal(runner, directory, STORE_ID, from, new Backlog(() => 0))
  }

  /** A file system that notes what is written and synced. */
  function noted(calls: string[]): FileSystem {
    const paths = new Map<number, string>()
    return {
      ...nodeFileSystem,
      open(path, ...how) {
        const fd = nodeFileSystem.open(path, ...how)
        paths.set(fd, basename(path).slice(-1))
        return fd
      },
      write(fd, bytes, ...rest) {
        calls.push(`write ${paths.get(fd)} at ${rest[2]}`)
        return nodeFileSystem.write(fd, bytes, ...rest)
      },
      datasync: (fd) => void calls.push(`sync ${paths.get(fd)}`),
    }
  }

  test.each([
    ['where the journal ends', ['2'], 'write 2 at 4096'],
    ['in an earlier segment, when nothing was appended to the later one', [], 'write 1 at 4096'],
  ])('has its last frame written again before it is synced: %s (I8)', async (_, later, expected) => {
    const journal = new JournalBuilder(temporaryDirectory()).begin(1, FIRST_SEGMENT_BYTES)
    journal.append(write('a', '1'))
    journal.append(write('b', '2'))
    journal.begin(2, FIRST_SEGMENT_BYTES)
    for (const value of later) {
      journal.append(write('c', value))
      journal.append(write('d', 'x'.repeat(5000)))
    }
    const before = [1, 2].map((segment) => readFileSync(journal.path(segment)))
    const found = await foundJournal(journal.directory)
    const earlier = findEarlierSegments(nodeFileSystem, journal.directory, false)
    const calls: string[] = []
    expect(syncFound(noted(calls), journal.directory, earlier, found)).toBeNull()
    const [, segment] = expected.split(' ')
    expect(calls).toEqual([expected, `sync ${segment}`, 'sync 1', 'sync 2'])
    // Compared as a whole: byte by byte, as `toEqual` does, MiBs take half a minute.
    const same = [1, 2].map((number, index) => readFileSync(journal.path(number)).equals(before[index]!))
    expect(same).toEqual([true, true])
  })

  test('is not written again when it is something else by now', async () => {
    const journal = new JournalBuilder(temporaryDirectory()).begin(1, FIRST_SEGMENT_BYTES)
    const { offset } = journal.append(write('a', '1'))
    const found = await foundJournal(journal.directory)
    const earlier = findEarlierSegments(nodeFileSystem, journal.directory, false)
    for (const at of [20, 70]) {
      journal.damage(1, (bytes) => (bytes[offset + at]! ^= 4))
      const calls: string[] = []
      expect(syncFound(noted(calls), journal.directory, earlier, found)).toBe(journal.path(1))
      expect(calls).toEqual([])
      journal.damage(1, (bytes) => (bytes[offset + at]! ^= 4))
    }
  })
})
