import { unlinkSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../src/backend/file/file-system.js'
import { FrameEncoder } from '../../../src/backend/file/frame-encoder.js'
import { encodeHeader, FRAME_ALIGNMENT } from '../../../src/backend/file/frame.js'
import { scanJournal } from '../../../src/backend/file/journal-scan.js'
import { segmentPath } from '../../../src/backend/file/segment.js'
import { storeIdBytes } from '../../../src/backend/file/store-id.js'
import {
  JournalBuilder,
  OTHER_STORE_ID,
  resolveValues,
  scan,
  START,
  STORE_ID,
  temporaryDirectory,
  write,
} from './journal-builder.js'

const KIB = 1024

function startJournal(segmentBytes = 256 * KIB): JournalBuilder {
  return new JournalBuilder(temporaryDirectory()).begin(1, segmentBytes)
}

/** Changes one bit in the middle of what the frame uses. */
function damage(journal: JournalBuilder, index: number, at = 70): void {
  const frame = journal.appended[index]
  if (frame === undefined) throw new Error('no such frame')
  journal.damage(
    frame.segment,
    (bytes) => (bytes[frame.offset + at] = (bytes[frame.offset + at] as number) ^ 4),
  )
}

/** A value that has a forged header of this store wherever its frame has a block. */
function valueWithForgedFrames(key: string, segment: number, offset: number, blocks: number): Buffer {
  const encoder = new FrameEncoder()
  encoder.addRecord(write(key, ''))
  const valueAt = encoder.valueOffsets[0] as number
  const value = Buffer.alloc(blocks * FRAME_ALIGNMENT)
  for (let block = 1; block < blocks; block++) {
    const inFrame = block * FRAME_ALIGNMENT
    const place = {
      storeId: storeIdBytes(STORE_ID),
      sequence: 1000,
      segment,
      offset: offset + inFrame,
      previousCrc: 0,
    }
    const body = { bodyBytes: 0, bodyCrc: 0, recordCount: 0 }
    encodeHeader(value.subarray(inFrame - valueAt), place, body)
  }
  return value
}

describe('a whole journal', () => {
  test('is empty where nothing was ever written', () => {
    const { directory } = startJournal(64 * KIB)
    const end = { end: 'clean', segmentBytes: 64 * KIB, corruptAt: null } as const
    expect(scan(directory).last).toEqual({
      records: [],
      recordCount: 0,
      next: START,
      lastFrame: null,
      ...end,
    })
  })

  test('gives the records of each namespace in order, with the place of every value', () => {
    const journal = startJournal()
    journal.append(write('a', 'one'), write('b', '', 2))
    journal.append({ namespace: 'm', revision: 3, atMs: 5, body: { kind: 'create' } })
    journal.append({ namespace: 'm', revision: 4, atMs: 6, body: { kind: 'delete', key: 'a' } })
    const { records, last } = scan(journal.directory)
    const appended = journal.appended.flatMap((frame) => frame.records)
    for (const name of ['n', 'm']) {
      const found = records.filter(({ namespace }) => namespace === name)
      const expected = appended.filter(({ namespace }) => namespace === name)
      expect(resolveValues(journal.directory, found)).toEqual(expected)
    }
    expect(last).toMatchObject({ end: 'clean', next: journal.next })
  })

  test('can be read from any of its frames on', () => {
    const journal = startJournal()
    journal.append(write('a', 'one'))
    const from = journal.next
    journal.append(write('b', 'two'))
    expect(resolveValues(journal.directory, scan(journal.directory, { from }).records)).toEqual([
      write('b', 'two'),
    ])
  })

  test('goes on in other segments, whatever their ids are', () => {
    const journal = startJournal(8 * KIB)
    journal.append(write('a', '1'))
    journal.append(write('b', '2'))
    journal.begin(9, 64 * KIB).append(write('large', Buffer.alloc(60 * KIB, 'x')))
    // Was prepared before the large one was needed.
    journal.begin(2, 8 * KIB).append(write('c', '3'))
    journal.begin(2 ** 40, 8 * KIB).append(write('d', '4'))
    journal.begin(2 ** 40 + 1, 8 * KIB)
    const { records, last } = scan(journal.directory)
    expect(resolveValues(journal.directory, records)).toEqual(
      journal.appended.flatMap((frame) => frame.records),
    )
    expect(last.end).toBe('clean')
    expect(last.next).toMatchObject({ segment: 2 ** 40, offset: 4096, sequence: 6 })
  })

  test('goes on in a fresh segment behind a torn frame', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    const behind = journal.next
    journal.append(write('b', 'torn'))
    damage(journal, 1)
    journal.next = behind
    journal.begin(2, 8 * KIB).append(write('c', '3'))
    const { records, last } = scan(journal.directory)
    expect(resolveValues(journal.directory, records)).toEqual([write('a', '1'), write('c', '3')])
    expect(last.end).toBe('clean')
  })

  test('goes on in the segment that has the next frame whole, whichever others began with it and were cut off', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    const behind = journal.next
    for (const segment of [2, 3]) {
      journal.next = behind
      journal.begin(segment, 64 * KIB).append(write('b', Buffer.alloc(9 * KIB, segment)))
      journal.damage(segment, (bytes) => bytes.fill(0, 512, 9 * KIB))
    }
    expect(scan(journal.directory).last.end).toBe('torn')
    journal.next = behind
    journal.begin(4, 64 * KIB).append(write('b', 'whole'), write('c', '3'))
    const { records, last } = scan(journal.directory)
    const expected = [write('a', '1'), write('b', 'whole'), write('c', '3')]
    expect(resolveValues(journal.directory, records)).toEqual(expected)
    expect(last.end).toBe('clean')
  })

  test('is the same in windows of any size, and no window holds more than its bytes', () => {
    const journal = startJournal(128 * KIB)
    const sizes = [0, 10, 3 * KIB, 4 * KIB, 30 * KIB, 1, 5 * KIB, 4032, 4033]
    for (const [index, size] of sizes.entries()) journal.append(write(`k${index}`, Buffer.alloc(size, index)))
    journal.begin(2, 200 * KIB).append(write('large', Buffer.alloc(150 * KIB)))
    journal.append(write('last', 'x'))
    const whole = scan(journal.directory)
    fc.assert(
      fc.property(fc.nat({ max: 300 * KIB }), (windowBytes) => {
        const windowed = scan(journal.directory, { windowBytes })
        expect(windowed.records).toEqual(whole.records)
        expect(windowed.last).toEqual(whole.last)
        for (const count of windowed.windows) {
          expect(count).toBeGreaterThan(0)
          expect(count).toBeLessThanOrEqual(Math.max(1, Math.ceil(windowBytes / FRAME_ALIGNMENT)))
        }
      }),
    )
  })

  test('is read with no more memory than a window or the largest frame takes', () => {
    const journal = startJournal(128 * KIB)
    for (let index = 0; index < 5; index++) journal.append(write(`k${index}`, Buffer.alloc(13 * KIB, index)))
    const largest = Math.max(...journal.appended.map((frame) => frame.bytes.length))
    for (const windowBytes of [KIB, 16 * KIB, 20 * KIB, 50 * KIB]) {
      let most = 0
      const fs: typeof nodeFileSystem = {
        ...nodeFileSystem,
        read(fd, buffer, offset, length, position) {
          most = Math.max(most, buffer.buffer.byteLength)
          return nodeFileSystem.read(fd, buffer, offset, length, position)
        },
      }
      // Not to the end, where all that is left is searched in larger pieces.
      const task = {
        kind: 'scan-journal',
        directory: journal.directory,
        storeId: STORE_ID,
        windowBytes,
      } as const
      for (let from = START; from.sequence <= 5;) from = scanJournal(fs, { ...task, from }).next
      expect(most).toBeLessThanOrEqual(Math.max(windowBytes, largest))
    }
  })

  test('ends before frames of another store, segment or offset', () => {
    const stranger = new JournalBuilder(temporaryDirectory(), START, OTHER_STORE_ID).begin(1, 8 * KIB)
    stranger.append(write('a', 'of another store'))
    expect(scan(stranger.directory)).toMatchObject({ records: [], last: { end: 'torn', next: START } })

    const journal = startJournal(8 * KIB)
    const { bytes } = journal.append(write('a', '1'))
    writeFileSync(journal.path(1), Buffer.concat([Buffer.alloc(4096), bytes]))
    writeFileSync(journal.path(2), bytes)
    expect(scan(journal.directory)).toMatchObject({ records: [], last: { end: 'clean', next: START } })
  })
})

describe('I1: a torn append', () => {
  test('is told from damage at every 512 bytes where it may have been cut off', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    journal.append(write('b', Buffer.alloc(10 * KIB, 'b')))
    const behind = journal.next
    const { offset, bytes } = journal.append(write('torn', Buffer.alloc(20 * KIB, 't')), write('c', 'small'))
    const used = 64 + bytes.readUInt32LE(44)
    for (let cut = 0; cut < used; cut += 512) {
      journal.damage(1, (file) => {
        file.set(bytes, offset)
        file.fill(0, offset + cut)
      })
      const { records, last } = scan(journal.directory)
      expect(records, `cut at ${cut}`).toHaveLength(2)
      expect(last, `cut at ${cut}`).toEqual({
        records: [],
        recordCount: 0,
        next: behind,
        lastFrame: null,
        end: cut === 0 ? 'clean' : 'torn',
        segmentBytes: 256 * KIB,
        corruptAt: null,
      })
    }
  })

  test.each([5, 1])(
    'is whole or not there, whichever of its sectors reached the disk, over what segment %i held before',
    (id) => {
      const older = startJournal(64 * KIB)
      while (older.next.offset < 64 * KIB)
        older.append(write(`${older.next.offset}`, Buffer.alloc(7 * KIB, 'o')))
      const stale = Buffer.concat(older.appended.map((frame) => frame.bytes))
      const from = { ...START, segment: id, sequence: 50 }
      const journal = new JournalBuilder(temporaryDirectory(), from).begin(id, 64 * KIB, stale)
      journal.append(write('a', '1'))
      const behind = journal.next
      const { offset, bytes } = journal.append(write('b', Buffer.alloc(9 * KIB, 'b')))
      const sectors = bytes.length / 512
      const used = Math.ceil((64 + bytes.readUInt32LE(44)) / 512)
      const anySectors = fc.array(fc.boolean(), { minLength: sectors, maxLength: sectors })
      fc.assert(
        fc.property(anySectors, (written) => {
          journal.damage(id, (file) => {
            stale.copy(file, offset, offset)
            for (const [sector, reached] of written.entries()) {
              const at = sector * 512
              if (reached) bytes.copy(file, offset + at, at, at + 512)
            }
          })
          const { records, last } = scan(journal.directory, { from })
          const whole = written.slice(0, used).every(Boolean)
          expect(records).toHaveLength(whole ? 2 : 1)
          expect(last.end).not.toBe('corrupt')
          expect(last.next).toEqual(whole ? journal.next : behind)
        }),
      )
    },
  )

  test('may be the first frame of its segment', () => {
    const journal = startJournal(4 * KIB)
    journal.append(write('a', '1'))
    journal.begin(2, 8 * KIB).append(write('b', 'torn'))
    damage(journal, 1)
    const { last } = scan(journal.directory)
    expect(last).toMatchObject({ end: 'torn', next: { segment: 2, offset: 0, sequence: 2 } })
  })
})

describe('I1: damage to what was acknowledged', () => {
  test('is found at every frame but the last, with the file and offset of the bad place', () => {
    // Header and body.
    for (const at of [0, 30, 62, 64, 100]) {
      for (let index = 0; index < 7; index++) {
        const journal = startJournal(16 * KIB)
        for (const key of ['a', 'b', 'c']) journal.append(write(key, 'some text that is damaged'))
        journal.begin(4, 16 * KIB)
        for (const key of ['d', 'e', 'f']) journal.append(write(key, 'some text that is damaged'))
        journal.begin(3, 16 * KIB)
        for (const key of ['g', 'h']) journal.append(write(key, 'some text that is damaged'))
        damage(journal, index, at)
        const { records, last } = scan(journal.directory)
        expect(records).toHaveLength(index)
        expect(last.end).toBe('corrupt')
        const { segment, offset } = journal.appended[index] as { segment: number; offset: number }
        expect(last.corruptAt, `byte ${at} of frame ${index}`).toEqual({
          path: journal.path(segment),
          offset,
        })
      }
    }
  })

  test('is found at the last frame too once an empty one is behind it', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    damage(journal, 0)
    expect(scan(journal.directory).last.end).toBe('torn')
    damage(journal, 0)
    journal.append()
    expect(scan(journal.directory)).toMatchObject({ records: [{}], last: { end: 'clean' } })
    damage(journal, 0)
    const corruptAt = { path: journal.path(1), offset: 0 }
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt })
  })

  test('is found if the only later frame was torn itself: its header proves that all before it were durable', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    journal.append(write('b', '2'))
    damage(journal, 0)
    damage(journal, 1)
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt: { offset: 0 } })
  })

  test('is found if blocks of a segment became zeros', () => {
    const journal = startJournal(64 * KIB)
    for (let index = 0; index < 8; index++) journal.append(write(`k${index}`, Buffer.alloc(4 * KIB)))
    journal.damage(1, (file) => file.fill(0, 8192, 40960))
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt: { offset: 8192 } })
  })

  test('is found if a segment is missing', () => {
    const journal = startJournal(4 * KIB)
    journal.append(write('a', '1'))
    const from = journal.next
    journal.begin(2, 4 * KIB).append(write('b', '2'))
    journal.begin(3, 4 * KIB).append(write('c', '3'))
    unlinkSync(journal.path(2))
    const corruptAt = { path: journal.path(1), offset: 4096 }
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt })
    unlinkSync(journal.path(1))
    expect(scan(journal.directory).last).toMatchObject({
      end: 'corrupt',
      corruptAt: { path: journal.path(1) },
    })
    unlinkSync(journal.path(3))
    // Nothing is left that could tell; but the position is in a file that is gone.
    expect(scan(journal.directory, { from }).last).toMatchObject({ end: 'corrupt', corruptAt })
    for (const directory of [journal.directory, `${journal.directory}/missing`]) {
      expect(scan(directory).last).toMatchObject({ end: 'corrupt', corruptAt: { offset: 0 } })
    }
  })

  test('is found if a whole frame does not link to the one before it', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    journal.next = { ...journal.next, previousCrc: 1 }
    journal.append(write('b', '2'))
    expect(scan(journal.directory)).toMatchObject({
      records: [{}],
      last: { end: 'corrupt', corruptAt: { offset: 4096 } },
    })
  })

  test('is found if the disk lost a write and still has what the segment held before', () => {
    const older = startJournal(64 * KIB)
    older.append(write('older', Buffer.alloc(50 * KIB)))
    const stale = Buffer.concat(older.appended.map((frame) => frame.bytes))
    for (const lost of [0, 1, 2]) {
      const from = { ...START, sequence: 50 }
      const journal = new JournalBuilder(temporaryDirectory(), from).begin(1, 64 * KIB, stale)
      for (const key of ['a', 'b', 'c', 'd']) journal.append(write(key, '1'))
      const offset = lost * FRAME_ALIGNMENT
      journal.damage(1, (file) => stale.copy(file, offset, offset, offset + FRAME_ALIGNMENT))
      const corruptAt = { path: journal.path(1), offset }
      expect(scan(journal.directory, { from }).last, `frame ${lost}`).toMatchObject({
        end: 'corrupt',
        corruptAt,
      })
    }
  })

  test('is found behind a frame that is larger than what is probed at once', () => {
    const journal = startJournal(8 * KIB * KIB)
    journal.append(write('large', Buffer.alloc(3 * KIB * KIB + 5)))
    journal.append(write('b', '2'))
    damage(journal, 0, 100_000)
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt: { offset: 0 } })
    // The length is damaged as well: the later frame is found block by block.
    damage(journal, 0, 44)
    expect(scan(journal.directory).last).toMatchObject({ end: 'corrupt', corruptAt: { offset: 0 } })
  })
})

describe('values that look like frames', () => {
  test('of this very journal are not taken for its frames, torn or not', () => {
    const journal = startJournal(1024 * KIB)
    for (let index = 0; index < 5; index++) journal.append(write(`k${index}`, Buffer.alloc(5 * KIB, index)))
    const copy = Buffer.concat(journal.appended.map((frame) => frame.bytes))
    const encoder = new FrameEncoder()
    encoder.addRecord(write('copy', ''))
    // Moved so that the copied frames begin at blocks of the journal.
    const aligned = Buffer.concat([Buffer.alloc(4096 - (encoder.valueOffsets[0] as number)), copy])
    const behind = journal.next
    journal.append(write('copy', aligned))
    expect(scan(journal.directory)).toMatchObject({ records: { length: 6 }, last: { end: 'clean' } })
    damage(journal, 5)
    expect(scan(journal.directory)).toMatchObject({
      records: { length: 5 },
      last: { end: 'torn', next: behind },
    })
    // Not even the header is left.
    damage(journal, 5, 0)
    expect(scan(journal.directory)).toMatchObject({
      records: { length: 5 },
      last: { end: 'torn', next: behind },
    })
  })

  test('and claim to be later frames at their very place are not believed inside a frame', () => {
    const journal = startJournal(64 * KIB)
    const from = journal.next
    journal.append(write('forged', valueWithForgedFrames('forged', 1, 0, 8)))
    journal.begin(2, 64 * KIB).append(write('forged', valueWithForgedFrames('forged', 2, 0, 8)))
    expect(scan(journal.directory)).toMatchObject({ records: { length: 2 }, last: { end: 'clean' } })
    expect(scan(journal.directory, { from, windowBytes: 1 }).last.end).toBe('clean')
    // Torn, with its header on the disk.
    damage(journal, 1)
    expect(scan(journal.directory)).toMatchObject({ records: { length: 1 }, last: { end: 'torn' } })
  })

  test('are not searched for in what was read before', () => {
    const journal = startJournal(64 * KIB)
    journal.append(write('forged', valueWithForgedFrames('forged', 1, 0, 8)))
    const from = journal.next
    journal.append(write('a', '1'))
    damage(journal, 0, 0)
    expect(scan(journal.directory, { from })).toMatchObject({
      records: { length: 1 },
      last: { end: 'clean' },
    })
  })

  test('can not hide damage by claiming to be a long frame from before', () => {
    const journal = new JournalBuilder(temporaryDirectory(), { ...START, sequence: 100 }).begin(1, 64 * KIB)
    const encoder = new FrameEncoder()
    encoder.addRecord(write('forged', ''))
    const value = Buffer.alloc(8 * KIB)
    const place = { storeId: storeIdBytes(STORE_ID), sequence: 5, segment: 1, offset: 4096, previousCrc: 0 }
    const body = { bodyBytes: 50_000, bodyCrc: 0, recordCount: 0 }
    encodeHeader(value.subarray(4096 - (encoder.valueOffsets[0] as number)), place, body)
    journal.append(write('forged', value))
    journal.append(write('acknowledged', 'x'))
    damage(journal, 0, 0)
    expect(scan(journal.directory, { from: { ...START, sequence: 100 } }).last).toMatchObject({
      end: 'corrupt',
      corruptAt: { offset: 0 },
    })
  })
})

describe('what is not a journal', () => {
  test('any bytes in a segment are read to an end', () => {
    const directory = temporaryDirectory()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), fc.nat({ max: 30_000 }), (bytes, offset) => {
        writeFileSync(segmentPath(directory, 1), bytes)
        const { records, last } = scan(directory, { from: { ...START, offset } })
        expect(records).toEqual([])
        expect(last.end).not.toBe('more')
      }),
    )
  })

  test('a header that promises more than the file holds is a torn frame', () => {
    const directory = temporaryDirectory()
    const bytes = Buffer.alloc(8192)
    const body = { bodyBytes: 2 ** 32 - 8192, bodyCrc: 0, recordCount: 0xffffffff }
    encodeHeader(bytes, { ...START, storeId: storeIdBytes(STORE_ID) }, body)
    writeFileSync(segmentPath(directory, 1), bytes)
    expect(scan(directory)).toMatchObject({ records: [], last: { end: 'torn', next: START } })
  })

  test('files of other names and directories are passed over', () => {
    const journal = startJournal()
    journal.append(write('a', '1'))
    const later = new JournalBuilder(temporaryDirectory(), { ...START, segment: 2, sequence: 9 }).begin(
      2,
      8 * KIB,
    )
    later.append(write('later', '1'))
    nodeFileSystem.makeDirectory(`${journal.directory}/${'0'.repeat(15)}3`, 0o700)
    nodeFileSystem.rename(later.path(2), `${journal.directory}/0000000000000002.bak`)
    expect(scan(journal.directory).last.end).toBe('clean')
  })

  test('a read that the file system refuses is an error, never an end', () => {
    const journal = startJournal(8 * KIB)
    journal.append(write('a', '1'))
    journal.append(write('b', '2'))
    const refuse = (): never => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    }
    const scanWith = (readsAllowed: number): number => {
      let reads = 0
      const fs: typeof nodeFileSystem = {
        ...nodeFileSystem,
        read: (...request) => (reads++ < readsAllowed ? nodeFileSystem.read(...request) : refuse()),
      }
      scan(journal.directory, { fs, windowBytes: 1 })
      return reads
    }
    const readsNeeded = scanWith(Number.POSITIVE_INFINITY)
    const failure = { code: 'READ_FAILED', path: journal.path(1), outcome: 'unchanged' }
    for (let reads = 0; reads < readsNeeded; reads++) {
      expect(() => scanWith(reads)).toThrow(expect.objectContaining(failure))
    }
    const noList = { ...nodeFileSystem, list: refuse }
    expect(() => scan(journal.directory, { fs: noList })).toThrow(
      expect.objectContaining({ code: 'READ_FAILED' }),
    )
    const noOpen = { ...nodeFileSystem, open: refuse }
    expect(() => scan(journal.directory, { fs: noOpen })).toThrow(
      expect.objectContaining({ code: 'READ_FAILED' }),
    )
  })

  test('a file system that reads a little at a time changes nothing', () => {
    const journal = startJournal(64 * KIB)
    journal.append(write('a', Buffer.alloc(20 * KIB, 'a')))
    journal.append(write('b', '2'))
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      read: (fd, buffer, offset, length, position) =>
        nodeFileSystem.read(fd, buffer, offset, Math.min(length, 1000), position),
    }
    expect(scan(journal.directory, { fs })).toEqual(scan(journal.directory))
    expect(scan(journal.directory, { fs }).records).toHaveLength(2)
  })

  test('closes every file that it opened', () => {
    const journal = startJournal(8 * KIB)
    journal.append(write('a', '1'))
    journal.append(write('b', '2'))
    journal.begin(2, 8 * KIB).append(write('c', '3'))
    damage(journal, 1)
    const open = new Set<number>()
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      open(...request) {
        const fd = nodeFileSystem.open(...request)
        open.add(fd)
        return fd
      },
      close(fd) {
        open.delete(fd)
        nodeFileSystem.close(fd)
      },
    }
    expect(scan(journal.directory, { fs }).last.end).toBe('corrupt')
    expect(open.size).toBe(0)
  })
})
