import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import {
  listSegments,
  parseSegmentName,
  prepareSegment,
  segmentName,
} from '../../../src/backend/file/segment.js'
import { temporaryDirectory } from './journal-builder.js'

const MIB = 1024 * 1024

function failing(call: 'write' | 'sync' | 'open', code: string, after = 0): FileSystem {
  let calls = 0
  const original = nodeFileSystem[call] as (...request: unknown[]) => number
  const replaced = (...request: unknown[]): number => {
    if (calls++ >= after) throw Object.assign(new Error(`${code}: ${call}`), { code })
    return original(...request)
  }
  return { ...nodeFileSystem, [call]: replaced }
}

describe('names of segments', () => {
  test('are 16 hexadecimal digits, so that they sort by id', () => {
    expect(segmentName(1)).toBe('0000000000000001')
    fc.assert(
      fc.property(fc.nat(2 ** 48), fc.nat(2 ** 48), (a, b) => {
        expect(parseSegmentName(segmentName(a))).toBe(a)
        expect(segmentName(a) < segmentName(b)).toBe(a < b)
      }),
    )
  })

  test('are no other names', () => {
    const others = [
      '',
      '1',
      '000000000000000g',
      '000000000000001A',
      '00000000000000001',
      '0000000000000001.tmp',
    ]
    for (const name of [...others, 'ffffffffffffffff', '-000000000000001', '0x00000000000001']) {
      expect(parseSegmentName(name), name).toBeNull()
    }
  })

  test('are listed by id, regular files only', () => {
    const directory = temporaryDirectory()
    expect(listSegments(nodeFileSystem, join(directory, 'missing'))).toEqual([])
    for (const id of [300, 2, 10]) writeFileSync(join(directory, segmentName(id)), '')
    mkdirSync(join(directory, segmentName(4)))
    symlinkSync(segmentName(2), join(directory, segmentName(5)))
    writeFileSync(join(directory, 'note'), '')
    expect(listSegments(nodeFileSystem, directory)).toEqual(
      [2, 10, 300].map((id) => ({ id, path: `${directory}/${segmentName(id)}` })),
    )
  })
})

describe('a prepared segment', () => {
  test('holds zeros of the size asked for, with the mode asked for', () => {
    const directory = temporaryDirectory()
    for (const bytes of [4096, MIB, 2 * MIB + 4096]) {
      const path = join(directory, segmentName(bytes))
      const task = { kind: 'prepare-segment', path, bytes, fileMode: 0o640 } as const
      expect(prepareSegment(nodeFileSystem, task)).toEqual({ failure: null })
      expect(readFileSync(path).equals(Buffer.alloc(bytes))).toBe(true)
      // The umask may take more away.
      expect(statSync(path).mode & 0o737).toBe(0o600)
    }
  })

  test('has its blocks on the disk, so that filling it needs no new space', () => {
    const path = join(temporaryDirectory(), segmentName(1))
    prepareSegment(nodeFileSystem, { kind: 'prepare-segment', path, bytes: 4 * MIB, fileMode: 0o600 })
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(4 * MIB)
  })

  test('replaces what a crash left of an earlier attempt', () => {
    const path = join(temporaryDirectory(), segmentName(1))
    writeFileSync(path, 'half of a segment')
    prepareSegment(nodeFileSystem, { kind: 'prepare-segment', path, bytes: 4096, fileMode: 0o600 })
    expect(readFileSync(path).equals(Buffer.alloc(4096))).toBe(true)
  })

  test('is synced before its directory is', () => {
    const directory = temporaryDirectory()
    const calls: string[] = []
    const fs: FileSystem = {
      ...nodeFileSystem,
      open(path, how, mode) {
        calls.push(path === directory ? 'open directory' : 'open file')
        return nodeFileSystem.open(path, how, mode)
      },
      sync(fd) {
        calls.push('sync')
        nodeFileSystem.sync(fd)
      },
    }
    const path = join(directory, segmentName(1))
    prepareSegment(fs, { kind: 'prepare-segment', path, bytes: 4096, fileMode: 0o600 })
    expect(calls).toEqual(['open file', 'sync', 'open directory', 'sync'])
  })

  test('that fails leaves no file and answers with the code of the system', () => {
    const directory = temporaryDirectory()
    const path = join(directory, segmentName(1))
    const task = { kind: 'prepare-segment', path, bytes: 3 * MIB, fileMode: 0o600 } as const
    const failures: [FileSystem, string][] = [
      [failing('write', 'ENOSPC', 2), 'ENOSPC'],
      [failing('write', 'EDQUOT'), 'EDQUOT'],
      [failing('sync', 'EIO'), 'EIO'],
      [failing('sync', 'EIO', 1), 'EIO'],
      [failing('open', 'EMFILE'), 'EMFILE'],
      [{ ...nodeFileSystem, write: () => 0 }, 'EIO'],
    ]
    for (const [fs, code] of failures) {
      const { failure } = prepareSegment(fs, task)
      expect(failure?.code).toBe(code)
      expect(failure?.message).toContain(path)
      expect(readdirSync(directory)).toEqual([])
    }
  })

  test('does not take the place of a directory', () => {
    const path = join(temporaryDirectory(), segmentName(1))
    mkdirSync(path)
    const answer = prepareSegment(nodeFileSystem, {
      kind: 'prepare-segment',
      path,
      bytes: 4096,
      fileMode: 0o600,
    })
    expect(answer.failure).not.toBeNull()
    expect(existsSync(path)).toBe(true)
  })
})
