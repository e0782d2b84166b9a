import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import { probeNameFolding } from '../../../src/backend/file/name-folding.js'
import { temporaryDirectory } from './journal-builder.js'

/**
 * A file system that takes names for one if `fold` gives them the same form. It keeps their spelling, or else stores them in
 * that form.
 */
function folding(fold: (name: string) => string, keepsSpelling = true): FileSystem {
  const spellings = new Map<string, string>()
  const stored = (path: string): string => {
    const end = path.lastIndexOf('/') + 1
    return path.slice(0, end) + fold(path.slice(end))
  }
  return {
    ...nodeFileSystem,
    open(path, how, mode) {
      const name = path.slice(path.lastIndexOf('/') + 1)
      spellings.set(fold(name), keepsSpelling ? name : fold(name))
      return nodeFileSystem.open(stored(path), how, mode)
    },
    lstat: (path) => nodeFileSystem.lstat(stored(path)),
    list: (path) =>
      nodeFileSystem.list(path).map(({ name, kind }) => ({ name: spellings.get(name) ?? name, kind })),
    unlink: (path) => nodeFileSystem.unlink(stored(path)),
  }
}

function probe(fs: FileSystem): ReturnType<typeof probeNameFolding> {
  const directory = temporaryDirectory()
  const fold = probeNameFolding(fs, directory, 0o600)
  expect(readdirSync(directory)).toEqual([])
  return fold
}

describe('probeNameFolding', () => {
  test('finds nothing where all names are kept apart', () => {
    expect(probe(folding((name) => name))).toBeNull()
  })

  test('finds that case is ignored, and keeps forms apart', () => {
    const fold = probe(folding((name) => name.toLowerCase()))
    expect(fold?.('Plan.MD')).toBe(fold?.('plan.md'))
    expect(fold?.('a')).not.toBe(fold?.('b'))
    expect(fold?.('\u00e9')).not.toBe(fold?.('e\u0301'))
  })

  test('finds that forms are normalized, either way, and keeps case apart', () => {
    for (const form of ['NFC', 'NFD']) {
      const fold = probe(folding((name) => name.normalize(form)))
      expect(fold?.('caf\u00e9')).toBe(fold?.('cafe\u0301'))
      expect(fold?.('a')).not.toBe(fold?.('A'))
    }
  })

  test('finds both', () => {
    const fold = probe(folding((name) => name.normalize('NFD').toLowerCase()))
    expect(fold?.('Caf\u00e9')).toBe(fold?.('CAFE\u0301'))
    expect(fold?.('a')).not.toBe(fold?.('b'))
  })

  test('folds every letter with all that differ from it in case only', () => {
    const fold = probe(folding((name) => name.toLowerCase()))
    if (fold === null) throw new Error('not found')
    for (let point = 0; point < 0x20000; point++) {
      const letter = String.fromCodePoint(point)
      const same = [
        letter.toLowerCase(),
        letter.toUpperCase(),
        letter.toUpperCase().toLowerCase(),
        fold(letter),
      ]
      for (const other of same) {
        if (fold(other) !== fold(letter)) expect(fold(other), point.toString(16)).toBe(fold(letter))
      }
    }
    expect(fold('stra\u1e9ee')).toBe(fold('STRASSE'))
    expect(fold('\u1f41\u03b4\u03cc\u03c2')).toBe(fold('\u1f49\u0394\u038c\u03a3'))
  })

  test('passes over characters that are not shown where forms are normalized', () => {
    const fold = probe(folding((name) => name.normalize('NFD')))
    expect(fold?.('a\u200db')).toBe(fold?.('ab'))
  })

  test('refuses a file system that stores other names than it is given, and leaves nothing there', () => {
    for (const fold of [
      (name: string) => name.normalize('NFD'),
      (name: string) => name.normalize('NFC'),
      (name: string) => name.toLowerCase(),
    ]) {
      const directory = temporaryDirectory()
      const error = { code: 'ROOT_UNUSABLE', path: directory, outcome: 'unchanged' }
      expect(() => probeNameFolding(folding(fold, false), directory, 0o600)).toThrow(
        expect.objectContaining(error),
      )
      expect(readdirSync(directory)).toEqual([])
    }
  })

  test('works on the file system of this machine, and leaves nothing there', () => {
    const fold = probe(nodeFileSystem)
    if (process.platform === 'linux') expect(fold).toBeNull()
    else expect(fold === null || typeof fold === 'function').toBe(true)
  })
})
