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

describe('appends on a slow disk', () => {
  test('none is made in place', async () => {
    const { append } = disk(1)
    for (let i = 0; i < 100; i++) expect(await append()).toEqual(ELSEWHERE)
  })

  test.each([1, 20, 1000])(
    'one that becomes slow (%i ms) blocks the caller once, and is trusted again after it was quick for some time',
    async (takesMs) => {
      const { state, append } = disk(0.1)
      for (let i = 0; i < 100; i++) await append()
      state.takesMs = takesMs
      expect(await append()).toEqual(IN_PLACE)
      expect(await append()).toEqual(ELSEWHERE)
      state.takesMs = 0.1
      expect(await append()).toEqual(ELSEWHERE)
      for (let i = 0; i < 200; i++) await append()
      expect(await append()).toEqual(IN_PLACE)
    },
  )
})
