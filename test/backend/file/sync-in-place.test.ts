import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem, systemError, type FileSystem } from '../../../src/backend/file/file-system.js'
import { syncingInPlace } from '../../../src/backend/file/sync-in-place.js'

/** A disk whose syncs take as long as is said, by a clock of its own. */
function disk(takesMs: number) {
  const state = { takesMs, writeTakesMs: 0, nowMs: 0, calls: [] as string[], fails: false }
  const sync = (name: string): void => {
    state.calls.push(name)
    state.nowMs += state.takesMs
    if (state.fails) throw systemError('EIO', 'the disk')
  }
  const write = (name: string, length: number): number => {
    state.calls.push(name)
    state.nowMs += state.writeTakesMs
    return length
  }
  const fs: FileSystem = {
    ...nodeFileSystem,
    write: (_fd, _buffer, _offset, length) => write('write', length),
    writeAsync: async (_fd, _buffer, _offset, length) => write('writeAsync', length),
    datasync: () => sync('datasync'),
    datasyncAsync: async () => sync('datasyncAsync'),
  }
  const subject = syncingInPlace(fs, () => state.nowMs)
  const append = async (bytes = 100): Promise<string[]> => {
    state.calls = []
    await subject.writeAsync(3, Buffer.alloc(0), 0, bytes, 0)
    await subject.datasyncAsync(3)
    return state.calls
  }
  return { state, append, subject }
}

const IN_PLACE = ['write', 'datasync']
const MIB = 1024 * 1024
const ELSEWHERE = ['writeAsync', 'datasyncAsync']

describe('appends on a quick disk', () => {
  test('the first sync is left to another thread, since nobody knows how quick the disk is', async () => {
    expect(await disk(0.1).append()).toEqual(['write', 'datasyncAsync'])
  })

  test('further ones are made in place', async () => {
    const { append } = disk(0.1)
    await append()
    expect(await append()).toEqual(IN_PLACE)
    expect(await append()).toEqual(IN_PLACE)
  })

  test('a sync that takes a little longer now and then changes nothing', async () => {
    const { state, append } = disk(0.5)
    await append()
    for (let i = 0; i < 100; i++) {
      state.takesMs = i % 5 === 4 ? 1.9 : 0.5
      expect(await append()).toEqual(IN_PLACE)
    }
  })

  test('large ones are left to another thread, and say nothing of the disk', async () => {
    const { state, append } = disk(0.1)
    await append()
    state.takesMs = 50
    expect(await append(3 * MIB)).toEqual(ELSEWHERE)
    state.takesMs = 0.1
    expect(await append()).toEqual(IN_PLACE)
  })

  test('an error of the disk rejects, as it does from another thread', async () => {
    const { state, append } = disk(0.1)
    await append()
    state.fails = true
    await expect(append()).rejects.toMatchObject({ code: 'EIO' })
    expect(state.calls).toEqual(IN_PLACE)
  })
})

/** Appends so often, and says which of them were made in place. */
async function inPlace(append: () => Promise<string[]>, count: number): Promise<number[]> {
  const places: number[] = []
  for (let i = 0; i < count; i++) if ((await append()).includes('datasync')) places.push(i)
  return places
}

describe('appends on a slow disk', () => {
  test.each([3, 1000])('none is made in place where it takes %i ms', async (takesMs) => {
    expect(await inPlace(disk(takesMs).append, 3000)).toEqual([])
  })

  test('where another thread may be what takes long, it is tried ever more seldom', async () => {
    const places = await inPlace(disk(1.5).append, 3000)
    const pauses = places.map((place, i) => place - (places[i - 1] ?? 0)).slice(1)
    expect(pauses.slice(0, 4)).toEqual([6, 11, 21, 41])
    expect(pauses.slice(-1)).toEqual([321])
  })

  test('when syncs have become slower than a change of threads, they are left to another one', async () => {
    const { state, append } = disk(0.1)
    await inPlace(append, 100)
    state.takesMs = 1.5
    expect(await inPlace(append, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test.each([3, 20, 1000])(
    'one that becomes slow (%i ms) blocks the caller once, and is trusted again when it was quick for some time',
    async (takesMs) => {
      const { state, append } = disk(0.1)
      await inPlace(append, 100)
      state.takesMs = takesMs
      expect(await inPlace(append, 3)).toEqual([0])
      state.takesMs = 0.1
      const until = state.nowMs + 5 * takesMs
      while (state.nowMs <= until) await append()
      expect(await inPlace(append, 3)).toEqual([0, 1, 2])
    },
  )

  test('slow ones take a small part of the time in place, whenever they come', async () => {
    const stalls = fc.array(
      fc.record({ after: fc.nat(80), ms: fc.double({ min: 2.01, max: 300, noNaN: true }) }),
      {
        minLength: 5,
        maxLength: 40,
      },
    )
    await fc.assert(
      fc.asyncProperty(stalls, async (each) => {
        const { state, append } = disk(0.3)
        let blockedMs = 0
        let longestMs = 0
        for (const { after, ms } of each) {
          await inPlace(append, after)
          state.takesMs = ms
          if ((await append()).includes('datasync')) {
            blockedMs += ms
            longestMs = Math.max(longestMs, ms)
          }
          state.takesMs = 0.3
        }
        expect(blockedMs).toBeLessThanOrEqual(state.nowMs / 6 + longestMs)
      }),
    )
  })

  test('what is much to sync, but not to write, is synced elsewhere, and its sync says nothing of the disk', async () => {
    const { state, append } = disk(0.1)
    await inPlace(append, 2)
    state.takesMs = 1.5
    expect(await append(300 * 1024)).toEqual(['write', 'datasyncAsync'])
    state.takesMs = 0.1
    expect((await append()).at(-1)).toBe('datasync')
  })

  test('a large group of one file is not taken for small because another file was synced meanwhile', async () => {
    const { state, append, subject } = disk(0.1)
    await inPlace(append, 2)
    state.calls = []
    await subject.writeAsync(3, Buffer.alloc(0), 0, 300 * 1024, 0)
    await subject.writeAsync(4, Buffer.alloc(0), 0, 100, 0)
    await subject.datasyncAsync(4)
    await subject.datasyncAsync(3)
    expect(state.calls).toEqual(['write', 'write', 'datasync', 'datasyncAsync'])
  })

  test('where syncs are slow, writes are made in place all the same', async () => {
    const { append } = disk(20)
    for (let i = 0; i < 10; i++) expect(await append()).toEqual(['write', 'datasyncAsync'])
  })

  test('writes that take long are left to another thread, with quick syncs in place', async () => {
    const { state, append } = disk(0.1)
    await inPlace(append, 2)
    state.writeTakesMs = 5
    expect(await append()).toEqual(IN_PLACE)
    expect(await append()).toEqual(['writeAsync', 'datasync'])
    state.writeTakesMs = 0
    state.nowMs += 25
    expect(await append()).toEqual(IN_PLACE)
  })
})
