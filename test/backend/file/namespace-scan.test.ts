import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  nodeFileSystem,
  type DirectoryEntry,
  type FileSystem,
} from '../../../src/backend/file/file-system.js'
import type { ScanNamespaceAnswer } from '../../../src/backend/file/tasks.js'
import { sweepTemporaries } from '../../../src/backend/file/temporaries.js'
import { listNamespaces, scanNamespace } from '../../../src/backend/file/tree-reader.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { normalizeKey } from '../../../src/key.js'
import { FaultyFileSystem, unsyncedFileSystem } from './faulty-file-system.js'
import { TreeFixture } from './tree-fixture.js'

const ON_WINDOWS = process.platform === 'win32'
/** As the origin names them. */
const LEFTOVER = '.k..agent_state_tmp.01995a4e-0000-7000-8000-000000000000'
let tree: TreeFixture

beforeEach(() => {
  tree = new TreeFixture()
})
afterEach(() => tree.remove())

function scan(fs: FileSystem = nodeFileSystem): ScanNamespaceAnswer {
  return scanNamespace(fs, { kind: 'scan-namespace', context: tree.context, namespace: 'ns' })
}

function keys(): string[] {
  const answer = scan()
  expect(answer).toMatchObject({ exists: true, failure: null })
  return [...answer.keys].sort()
}

describe('scanning a namespace', () => {
  test('finds every key that was written, and nothing of the metadata', () => {
    const written = [
      'a',
      'b/c',
      'b.json/c',
      'b.json/d/e',
      '.hidden',
      'a b',
      'line\nbreak',
      '\u00e9',
      'e\u0301',
    ]
    const operations = written.map((key) => tree.write(key, 'x'))
    expect(materialize(nodeFileSystem, tree.task(operations, 'create')).failures).toEqual([])
    expect(keys()).toEqual([...written].sort())
  })

  test('of one that is missing, a file or a symlink, says that there is none', () => {
    const none = { exists: false, keys: [], failure: null }
    expect(scan()).toEqual(none)
    tree.put('ns', 'file')
    expect(scan()).toEqual(none)
    tree.remove()
    tree = new TreeFixture()
    tree.put('other/k', 'x')
    symlinkSync('other', tree.path('ns'))
    expect(scan()).toEqual(none)
  })

  test('leaves out what is no regular file, and follows no symlink', () => {
    tree.put('ns/k', 'x')
    tree.put('outside/other', 'x')
    mkdirSync(tree.path('ns/empty/empty'), { recursive: true })
    symlinkSync('k', tree.path('ns/to-file'))
    symlinkSync('../outside', tree.path('ns/to-directory'))
    symlinkSync('.', tree.path('ns/loop'))
    symlinkSync('nowhere', tree.path('ns/dangling'))
    if (!ON_WINDOWS) execFileSync('mkfifo', [tree.path('ns/fifo')])
    expect(keys()).toEqual(['k'])
  })

  test('leaves out names that no key can have', () => {
    const kept = ['k', `${'x'.repeat(250)}/${'y'.repeat(250)}`]
    const lost = [
      'x'.repeat(251),
      `${'d'.repeat(251)}/k`,
      'é'.repeat(126),
      'sub/.agent_state_meta/k',
      `${LEFTOVER}/k`,
    ]
    for (const path of [...kept, ...lost]) tree.put(`ns/${path}`, 'x')
    expect(keys()).toEqual([...kept].sort())
  })

  test('keeps names with blanks anywhere: they can be given as `./ key /.`', () => {
    const kept = [
      ' blank first',
      'blank last ',
      'blank /in between',
      'nbsp\u00a0',
      ' blank/first',
      'next/line\u0085',
    ]
    for (const path of kept) tree.put(`ns/${path}`, 'x')
    expect(keys().sort()).toEqual([...kept].sort())
  })

  test.skipIf(process.platform !== 'linux')('leaves out names that are not UTF-8', () => {
    tree.put('ns/k', 'x')
    writeFileSync(Buffer.concat([Buffer.from(`${tree.path('ns')}/`), Buffer.from([0x61, 0xff])]), 'x')
    expect(keys()).toEqual(['k'])
  })

  test('gives only keys that a session can be asked for, whatever the names on disk', () => {
    const name = fc.oneof(
      fc.constantFrom(' ', '\u0085', '.agent_state_meta', '.agent_state_tmp', '...', '\ufeff', 'a'),
      fc.string({ unit: 'binary' }),
    )
    const entries: fc.Arbitrary<DirectoryEntry[]> = fc.array(
      fc.record({ name, kind: fc.constantFrom('file' as const, 'directory' as const) }),
    )
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 4 }), (levels) => {
        const pending = [...levels]
        const directory = { ...nodeFileSystem.lstat(tree.root)!, kind: 'directory' as const }
        const fs: FileSystem = {
          ...nodeFileSystem,
          lstat: () => directory,
          list: () => pending.shift() ?? [],
          unlink: () => {},
        }
        for (const key of scan(fs).keys) {
          expect(normalizeKey(`./${key}/.`, Number.MAX_SAFE_INTEGER)).toBe(key)
        }
      }),
    )
  })

  test('sweeps what interrupted writes of the origin left, regular files only', () => {
    tree.put('ns/a/k', 'x')
    const swept = [
      LEFTOVER,
      `a/${LEFTOVER}`,
      `.agent_state_meta/${LEFTOVER}`,
      `.agent_state_meta/a/${LEFTOVER}`,
    ]
    for (const path of swept) tree.put(`ns/${path}`, 'half a val')
    tree.put('ns/.agent_state_meta/a/k.json', '{}')
    tree.put(`outside/${LEFTOVER}`, 'x')
    symlinkSync('../outside', tree.path('ns/.agent_state_meta/outside'))
    symlinkSync('a/k', tree.path(`ns/symlink${LEFTOVER}`))
    mkdirSync(tree.path(`ns/directory${LEFTOVER}`))
    expect(keys()).toEqual(['a/k'])
    for (const path of swept) expect(existsSync(tree.path('ns', path)), path).toBe(false)
    expect(tree.text('ns/.agent_state_meta/a/k.json')).toBe('{}')
    expect(existsSync(tree.path('outside', LEFTOVER))).toBe(true)
    expect(Object.keys(tree.snapshot())).toContain(`ns/symlink${LEFTOVER}`)
    expect(Object.keys(tree.snapshot())).toContain(`ns/directory${LEFTOVER}/`)
  })

  test('does not fail when sweeping does', () => {
    tree.put('ns/k', 'x')
    tree.put(`ns/${LEFTOVER}`, 'x')
    tree.put('ns/.agent_state_meta/k.json', '{}')
    for (const failing of ['unlink', 'list', 'lstat']) {
      const fs = new FaultyFileSystem(({ name, path }) =>
        name === failing && (name === 'unlink' || path.includes('.agent_state_meta')) ? 'EACCES' : null,
      )
      expect(scan(fs)).toEqual({ exists: true, keys: ['k'], failure: null })
      expect(fs.calls.some(({ name }) => name === failing)).toBe(true)
    }
  })

  test.each(['ns/', 'ns/a/'])('fails when %s can’t be read: its keys must not look deleted', (path) => {
    tree.put('ns/a/k', 'x')
    tree.put('ns/b/k', 'x')
    const fs = new FaultyFileSystem((call) =>
      call.name === 'list' && call.path === tree.path(path) ? 'EACCES' : null,
    )
    expect(scan(fs)).toEqual({
      exists: true,
      keys: [],
      failure: { code: 'EACCES', path: tree.path(path), message: expect.any(String) },
    })
  })

  test('fails when its own directory can’t be looked at', () => {
    const fs = new FaultyFileSystem(({ name }) => (name === 'lstat' ? 'EIO' : null))
    expect(scan(fs).failure).toMatchObject({ code: 'EIO', path: tree.path('ns') })
  })

  test.each(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'])(
    'goes on where a directory has gone meanwhile or lies too deep (%s)',
    (code) => {
      tree.put('ns/a/k', 'x')
      tree.put('ns/b/k', 'x')
      const fs = new FaultyFileSystem(({ name, path }) =>
        name === 'list' && path === tree.path('ns/a/') ? code : null,
      )
      expect(scan(fs)).toEqual({ exists: true, keys: ['b/k'], failure: null })
    },
  )

  test('reads a tree as deep as paths can be', () => {
    const deep = Array.from({ length: 1500 }, () => 'd').join('/')
    tree.put(`ns/${deep}/k`, 'x')
    expect(keys()).toEqual([`${deep}/k`])
  })

  test('looks at 100,000 keys without opening or looking at one of them', () => {
    const names = Array.from({ length: 100_000 }, (_, index) => ({
      name: `k${index}`,
      kind: 'file' as const,
    }))
    const calls = new Map<string, number>()
    const count = (name: string): void => void calls.set(name, (calls.get(name) ?? 0) + 1)
    const fs = new FaultyFileSystem(({ name }) => {
      count(name)
      return null
    })
    fs.list = () => names
    mkdirSync(tree.path('ns'))
    expect(scan(fs).keys).toHaveLength(100_000)
    expect([...calls]).toEqual([['lstat', 2]])
  })
})

describe('listing namespaces', () => {
  const list = (fs: FileSystem = nodeFileSystem): string[] =>
    listNamespaces(fs, { kind: 'list-namespaces', context: tree.context }).sort()

  test('gives the real directories whose names a namespace can have', () => {
    for (const name of [
      'a',
      ' blank ',
      '.hidden',
      '\u00e9',
      '.git',
      '.GIT',
      'n'.repeat(200),
      'n'.repeat(201),
    ]) {
      mkdirSync(tree.path(name))
    }
    tree.put('file', 'x')
    symlinkSync('a', tree.path('symlink'))
    expect(list()).toEqual([' blank ', '.hidden', 'a', 'n'.repeat(200), '\u00e9'])
  })

  test('throws what keeps the root from being read', () => {
    expect(() => list(new FaultyFileSystem(() => 'EACCES'))).toThrow('EACCES')
  })
})

describe('sweeping temporary files', () => {
  test('removes what a killed process left, and nothing else', () => {
    const tmp = '.agent_state/tmp'
    tree.put(`${tmp}/01995a4e-0000-7000-8000-000000000000`, 'half a val')
    tree.put(`${tmp}/directory/file`, 'x')
    symlinkSync('../../ns', tree.path(tmp, 'symlink'))
    sweepTemporaries(nodeFileSystem, tree.path(tmp))
    expect(tree.temporaries().sort()).toEqual(['directory', 'symlink'])
  })

  test('goes on when one file can’t be removed, and minds no missing or planted directory', () => {
    const tmp = tree.path('.agent_state/tmp')
    sweepTemporaries(nodeFileSystem, tmp)
    tree.put('.agent_state/tmp/a', 'x')
    tree.put('.agent_state/tmp/b', 'x')
    const fs = new FaultyFileSystem(({ name }, index) => (name === 'unlink' && index < 3 ? 'EIO' : null))
    sweepTemporaries(fs, tmp)
    expect(tree.temporaries()).toHaveLength(1)
    tree.put('outside/file', 'x')
    symlinkSync('../outside', tree.path('.agent_state/other'))
    sweepTemporaries(unsyncedFileSystem, tree.path('.agent_state/other'))
    expect(tree.text('outside/file')).toBe('x')
  })
})
