import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FrameEncoder } from '../../../src/backend/file/frame-encoder.js'
import { decodeHeader, FRAME_ALIGNMENT } from '../../../src/backend/file/frame.js'
import { Journal, type Appended } from '../../../src/backend/file/journal.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES, segmentPath } from '../../../src/backend/file/segment.js'
import type { Spare } from '../../../src/backend/file/segment-supply.js'
import type { Task } from '../../../src/backend/file/tasks.js'
import { deferred, failureOf } from '../../../src/contract/observe.js'
import { START, STORE_ID, write } from './journal-builder.js'
import { MemoryFiles } from './memory-files.js'
import { ScriptedRunner } from './scripted-runner.js'

const clock = vi.hoisted(() => ({ nowMs: 0 }))
vi.mock('node:perf_hooks', () => ({ performance: { now: () => clock.nowMs } }))

const DIRECTORY = '/journal'

beforeEach(() => void (clock.nowMs = 1000))

interface Given {
  readonly fs: MemoryFiles
  readonly runner: ScriptedRunner
  readonly journal: Journal
  /** What was told about the room on the disk. */
  readonly space: (string | null)[]
  /** Codes that preparing a segment fails with; null: it succeeds. */
  disk: string | null
}

const open: Journal[] = []
afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close()
})

function given(spares: readonly Spare[] = []): Given {
  const fs = new MemoryFiles()
  const runner = new ScriptedRunner()
  const space: (string | null)[] = []
  const journal = new Journal(
    {
      fs,
      runner,
      directory: DIRECTORY,
      storeId: STORE_ID,
      fileMode: 0o600,
      onSpace: (failure) => void space.push(failure),
    },
    { ...START, segment: spares.length + 1 },
    spares,
  )
  for (const { path, bytes } of spares) fs.make(path, bytes)
  const made: Given = { fs, runner, journal, space, disk: null }
  runner.script = (task: Task) => {
    if (task.kind === 'prepare-segment') {
      if (made.disk !== null) return { failure: { code: made.disk, message: 'the disk is full' } }
      fs.make(task.path, task.bytes)
    } else if (task.kind === 'remove-segments') {
      for (const path of task.paths) fs.unlink(path)
    }
    return { failure: null }
  }
  open.push(journal)
  return made
}

const spare = (id: number, bytes = SEGMENT_BYTES): Spare => ({ id, path: segmentPath(DIRECTORY, id), bytes })

function frame(bytes = 1): FrameEncoder {
  const encoder = new FrameEncoder()
  encoder.addRecord(write('k', Buffer.alloc(bytes)))
  return encoder
}

async function append(journal: Journal, encoder = frame()): Promise<Appended> {
  expect(await journal.makeRoom(encoder.frameBytes, false)).toBeNull()
  let appended: Appended | null = null
  await journal.append(encoder, (found) => (appended = found))
  return appended!
}

/** A frame so large that only so many bytes are left in a segment. */
function filling(segmentBytes: number, left: number): FrameEncoder {
  return frame(segmentBytes - left - FRAME_ALIGNMENT)
}

test('where not even a new segment is what was prepared, no other one is made, and it is tried again later', async () => {
  const { runner, journal } = given([spare(1)])
  await journal.start()
  const { script } = runner
  let prepared = 0
  runner.script = (task: Task) => {
    if (task.kind === 'prepare-segment') prepared++
    return { failure: null }
  }
  const large = filling(SEGMENT_BYTES, 0)
  expect(await journal.makeRoom(large.frameBytes, false)).toBe('ENOENT')
  expect(prepared).toBe(1)
  runner.script = script
  await append(journal, large)
})

describe('appending', () => {
  test('I1: a frame is written where the last one ended, synced, and linked to it', async () => {
    const { fs, journal } = given([spare(1)])
    await journal.start()
    const first = await append(journal)
    const second = await append(journal)
    expect([first.offset, second.offset, journal.end.offset]).toEqual([0, 4096, 8192])
    expect(fs.calls.slice(-4)).toEqual(
      ['write', 'datasync', 'write', 'datasync'].map((call) => `${call} ${spare(1).path}`),
    )
    const file = fs.files.get(spare(1).path)!
    const [one, two] = [decodeHeader(file, 0)!, decodeHeader(file, 4096)!]
    expect([one.sequence, two.sequence, two.previousCrc]).toEqual([1, 2, one.crc])
    expect(journal.end).toEqual({ segment: 1, offset: 8192, sequence: 3, previousCrc: two.crc })
  })

  test('a write that takes a part of the bytes is gone on with', async () => {
    const { fs, journal } = given([spare(1)])
    await journal.start()
    const whole = fs.write
    fs.write = (fd, buffer, offset, length, position) =>
      whole(fd, buffer, offset, Math.min(length, 1000), position)
    const encoder = frame(10_000)
    await append(journal, encoder)
    const { bytes } = encoder.seal({ ...START, storeId: Buffer.alloc(16) })
    expect(fs.files.get(spare(1).path)!.subarray(64, bytes.length)).toEqual(Buffer.from(bytes.subarray(64)))
  })

  test('a disk that takes nothing is an error, not an endless loop', async () => {
    const { fs, journal } = given([spare(1)])
    await journal.start()
    fs.write = () => 0
    expect(await failureOf(() => append(journal))).toMatchObject({
      message: expect.stringMatching('no bytes'),
    })
  })

  test('I8: what failed has not moved the end', async () => {
    const { fs, journal } = given([spare(1)])
    await journal.start()
    await append(journal)
    const { end } = journal
    fs.fails = (call) => (call === 'datasync' ? 'EIO' : null)
    expect(await failureOf(() => append(journal))).toMatchObject({ code: 'EIO' })
    expect(journal.end).toEqual(end)
  })

  test('what holds the segment does so in the moment in which the end moves', async () => {
    const { journal } = given([spare(1)])
    await journal.start()
    const before = journal.end
    const seen: unknown[] = []
    const watching = deferred()
    void watching.promise.then(() => seen.push(journal.oldestNeeded))
    const encoder = frame()
    await journal.makeRoom(encoder.frameBytes, false)
    await journal.append(encoder, ({ segment }) => {
      segment.holders++
      watching.resolve()
    })
    await watching.promise
    expect(seen).toEqual([{ ...before, segment: 1 }])
  })

  test('tells how long ago the last append was', async () => {
    const { journal } = given([spare(1)])
    await journal.start()
    await append(journal)
    clock.nowMs += 7
    expect(journal.quietMs).toBe(7)
  })
})

describe('room', () => {
  test('a first segment is made if there is none, and a failure is told', async () => {
    const { journal, fs } = given()
    expect(await journal.start()).toBeNull()
    expect(fs.files.get(segmentPath(DIRECTORY, 1))!.length).toBe(FIRST_SEGMENT_BYTES)
    const full = given()
    full.disk = 'ENOSPC'
    expect(await full.journal.start()).toBe('ENOSPC')
  })

  test('the next segment is prepared before it is needed, once', async () => {
    const { journal, runner } = given([spare(1)])
    await journal.start()
    const tasks: string[] = []
    const script = runner.script
    runner.script = (task) => {
      tasks.push(task.kind)
      return script(task)
    }
    await append(journal)
    expect(tasks).toEqual([])
    await append(journal, frame(SEGMENT_BYTES / 4))
    await append(journal)
    expect(tasks).toEqual(['prepare-segment'])
    expect(journal.hasSpare).toBe(true)
  })

  test('a frame that does not fit goes to the next segment, whole', async () => {
    const { journal, fs } = given([spare(1), spare(2)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 8192))
    await append(journal)
    const { segment, offset } = await append(journal, frame(10_000))
    expect([segment.id, offset]).toEqual([2, 0])
    expect([...fs.opened.values()]).toEqual([spare(2).path])
    expect(decodeHeader(fs.files.get(spare(2).path)!, 0)).toMatchObject({ sequence: 3 })
  })

  test('a frame that exactly fits stays', async () => {
    const { journal } = given([spare(1), spare(2)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 4096))
    expect((await append(journal)).segment.id).toBe(1)
    expect((await append(journal)).segment.id).toBe(2)
  })

  test('a frame larger than a segment gets one of its own, and the next frame follows in another', async () => {
    const { journal } = given([spare(1), spare(2)])
    await journal.start()
    const large = await append(journal, frame(SEGMENT_BYTES + 1))
    expect(large.segment.bytes).toBe(SEGMENT_BYTES + FRAME_ALIGNMENT)
    const next = await append(journal)
    expect([next.segment.id, next.offset]).toEqual([2, 0])
  })

  test('a segment that is too small for a frame is passed over', async () => {
    const { journal } = given([spare(1), spare(2, FIRST_SEGMENT_BYTES), spare(3)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 0))
    expect((await append(journal, frame(FIRST_SEGMENT_BYTES + 1))).segment.id).toBe(3)
  })

  test('on a full disk the end of the last segment is kept for deletions', async () => {
    const made = given([spare(1)])
    const { journal } = made
    made.disk = 'ENOSPC'
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 64 * 1024 + 4096))
    expect(await journal.makeRoom(4096, false)).toBeNull()
    await append(journal)
    expect(await journal.makeRoom(4096, false)).toBe('ENOSPC')
    expect(await journal.makeRoom(4096, true)).toBeNull()
    expect(await journal.makeRoom(64 * 1024 + 4096, true)).toBe('ENOSPC')
    clock.nowMs += 100
    made.disk = null
    expect(await journal.makeRoom(4096, false)).toBeNull()
  })

  test('a full disk is not asked again at once, and what became of it is told', async () => {
    const made = given([spare(1)])
    const { journal, space, runner } = made
    await journal.start()
    made.disk = 'ENOSPC'
    expect(await journal.prepareSpare()).toBe('ENOSPC')
    made.disk = null
    clock.nowMs += 99
    expect(await journal.prepareSpare()).toBe('ENOSPC')
    clock.nowMs += 1
    expect(await journal.prepareSpare()).toBeNull()
    expect(space).toEqual(['ENOSPC', null])
    runner.script = () => undefined
    const two = [journal.prepareSpare(), journal.prepareSpare()]
    runner.next('prepare-segment').fail(new Error('the worker died'))
    expect(await Promise.all(two)).toEqual(['the worker died', 'the worker died'])
    expect(runner.held).toEqual([])
  })

  test('a segment that can not be opened is tried again later; nothing is lost', async () => {
    const { journal, fs } = given([spare(1), spare(2)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 0))
    const { end } = journal
    fs.fails = (call) => (call === 'open' ? 'EMFILE' : null)
    expect(await journal.makeRoom(4096, false)).toBe('EMFILE')
    expect(journal.end).toEqual(end)
    fs.fails = () => null
    expect((await append(journal)).segment.id).toBe(2)
  })

  test('a segment that was deleted or replaced meanwhile is given up, and another one is taken', async () => {
    const { journal, fs } = given([spare(1), spare(2), spare(3)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 0))
    fs.files.delete(segmentPath(DIRECTORY, 2))
    fs.files.set(segmentPath(DIRECTORY, 3), Buffer.alloc(4096))
    expect((await append(journal)).segment.id).toBe(4)
    expect(fs.files.get(segmentPath(DIRECTORY, 3)), 'it is not written to').toEqual(Buffer.alloc(4096))
    expect([...fs.opened.values()]).toEqual([segmentPath(DIRECTORY, 4)])
  })

  test('an error when the last segment is closed is none of the next', async () => {
    const { journal, fs } = given([spare(1), spare(2)])
    await journal.start()
    await append(journal, filling(SEGMENT_BYTES, 0))
    fs.fails = (call) => (call === 'close' ? 'EIO' : null)
    expect((await append(journal)).segment.id).toBe(2)
    expect([...fs.opened.values()]).toEqual([spare(2).path])
    fs.fails = () => null
  })
})

describe('giving back', () => {
  async function withSegments(count: number): Promise<Given & { appended: Appended[] }> {
    const made = given(Array.from({ length: count }, (_, index) => spare(index + 1)))
    await made.journal.start()
    const appended: Appended[] = []
    for (let index = 0; index < count; index++) {
      const found = await append(made.journal, filling(SEGMENT_BYTES, 0))
      found.segment.holders++
      appended.push(found)
    }
    return { ...made, appended }
  }

  test('segments that nobody holds are used again, after a checkpoint behind them', async () => {
    const { journal, appended, fs } = await withSegments(3)
    const written: unknown[] = []
    appended[0]!.segment.holders--
    appended[1]!.segment.holders--
    await journal.recycle(() => {
      written.push([journal.oldestNeeded.segment, journal.hasSpare])
      return Promise.resolve()
    })
    expect(written).toEqual([[3, false]])
    expect(journal.hasSpare).toBe(true)
    const again = await append(journal)
    expect([again.segment.id, again.offset]).toEqual([1, 0])
    expect(decodeHeader(fs.files.get(spare(1).path)!, 0)).toMatchObject({ sequence: 4, segment: 1 })
  })

  test('one that is held keeps those behind it', async () => {
    const { journal, appended } = await withSegments(3)
    appended[1]!.segment.holders--
    await journal.recycle(() => Promise.reject(new Error('there is nothing to give back')))
    expect(journal.oldestNeeded.segment).toBe(1)
    expect(journal.oldestHeld).toBe(appended[0]!.segment)
  })

  test('I8: without the checkpoint none is given back', async () => {
    const { journal, appended } = await withSegments(2)
    appended[0]!.segment.holders--
    expect(await failureOf(() => journal.recycle(() => Promise.reject(new Error('EIO'))))).toMatchObject({
      message: 'EIO',
    })
    expect(journal.hasSpare).toBe(false)
  })

  test('I9: only so many are kept ready; others, and those of unusual size, are deleted', async () => {
    const { journal, appended, fs } = await withSegments(8)
    const large = await append(journal, frame(SEGMENT_BYTES + 1))
    await append(journal)
    for (const { segment } of appended) segment.holders--
    expect(large.segment.holders).toBe(0)
    await journal.recycle(() => Promise.resolve())
    const kept = [...fs.files.keys()]
    expect(kept.length).toBe(5)
    expect(kept).not.toContain(large.segment.path)
    expect(kept).toContain(segmentPath(DIRECTORY, journal.end.segment))
  })

  test('the backlog is what was appended since the tree had everything', async () => {
    const { journal, appended } = await withSegments(2)
    expect(journal.backlogBytes).toBe(2 * SEGMENT_BYTES)
    appended[0]!.segment.holders--
    expect(journal.backlogBytes).toBe(SEGMENT_BYTES)
    appended[1]!.segment.holders--
    expect(journal.backlogBytes).toBe(0)
    journal.noteDrained()
    expect(journal.oldestNeeded).toEqual(journal.end)
    const { segment } = await append(journal)
    segment.holders++
    expect(journal.backlogBytes).toBe(4096)
  })
})
