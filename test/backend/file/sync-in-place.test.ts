import { describe, expect, test } from 'vitest'
import { nodeFileSystem, systemError, type FileSystem } from '../../../src/backend/file/file-system.js'
import { syncingInPlace } from '../../../src/backend/file/sync-in-place.js'

/** A disk whose syncs take as long as is said, by a clock of its own. */
function disk(takesMs: number) {
  const state = { takesMs, nowMs: 0, calls: [] as string[], fails: false }
  const sync = (name: string): void => {
    state.calls.push(name)
    state.nowMs += state.takesMs
    if (state.fails) throw systemError('EIO', 'the disk')
  }
  const write = (name: string, length: number): number => {
    state.calls.push(name)
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
  return { state, append }
}

const IN_PLACE = ['write', 'datasync']
const ELSEWHERE = ['writeAsync', 'datasyncAsync']

describe('appends on a quick disk', () => {
  test('the first one is left to another thread, since nobody knows how quick the disk is', async () => {
    expect(await disk(0.1).append()).toEqual(ELSEWHERE)
  })

  test('further ones are made in place', async () => {
    const { append } = disk(0.1)
    await append()
    expect(await append()).toEqual(IN_PLACE)
    expect(await append()).toEqual(IN_PLACE)
  })

  test('large ones are left to another thread, and say nothing of the disk', async () => {
    const { state, append } = disk(0.1)
    await append()
    state.takesMs = 50
    expect(await append(300 * 1024)).toEqual(ELSEWHERE)
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
    const places = await inPlace(disk(1).append, 3000)
    const pauses = places.map((place, i) => place - (places[i - 1] ?? 0)).slice(1)
    expect(pauses.slice(0, 4)).toEqual([5, 9, 17, 33])
    expect(pauses.slice(-1)).toEqual([1025])
  })

  test.each([1, 20, 1000])(
    'one that becomes slow (%i ms) blocks the caller once, and is trusted again when it was quick',
    async (takesMs) => {
      const { state, append } = disk(0.1)
      await inPlace(append, 100)
      state.takesMs = takesMs
      expect(await inPlace(append, 3)).toEqual([0])
      state.takesMs = 0.1
      expect(await inPlace(append, 6)).toEqual([2, 3, 4, 5])
    },
  )

  test('slow ones now and then among quick ones do not add up', async () => {
    const { state, append } = disk(0.1)
    await inPlace(append, 2)
    for (let round = 0; round < 10; round++) {
      state.takesMs = 5
      await append()
      state.takesMs = 0.1
      expect((await inPlace(append, 100)).length, `round ${round}`).toBe(96)
    }
  })
})
