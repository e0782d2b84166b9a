import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem, systemError, type FileSystem } from '../../../src/backend/file/file-system.js'
import type { MaterializeAnswer, MaterializeTask, TreeOperation } from '../../../src/backend/file/tasks.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { FaultyFileSystem, unsyncedFileSystem } from './faulty-file-system.js'
import { AT_MS, STORE_ID, TreeFixture } from './tree-fixture.js'

const ON_WINDOWS = process.platform === 'win32'
const META = '.agent_state_meta'
let tree: TreeFixture

beforeEach(() => {
  tree = new TreeFixture()
})
afterEach(() => tree.remove())

const SUCCESS: MaterializeAnswer = { failures: [], preserved: [] }

function apply(
  operations: readonly TreeOperation[],
  change: MaterializeTask['namespaceChange'] = null,
): MaterializeAnswer {
  return materialize(nodeFileSystem, tree.task(operations, change))
}

/** Applies what must succeed, twice: the second time must change nothing (I6). */
function succeed(
  operations: readonly TreeOperation[],
  change: MaterializeTask['namespaceChange'] = null,
): void {
  expect(apply(operations, change)).toEqual(SUCCESS)
  const once = tree.snapshot()
  expect(apply(operations, change)).toEqual(SUCCESS)
  expect(tree.snapshot()).toEqual(once)
  expect(tree.temporaries()).toEqual([])
}

function secondPlace(key: string): string {
  return `ns/${META}/${META}/${createHash('sha256').update(key).digest('hex')}.json`
}

describe('a write', () => {
  test('leaves exactly the bytes, at the time of the record, privately, beside the metadata', () => {
    succeed([tree.write('evidence/a.json', 'five!')])
    const meta = `{
  "writer": {
    "writer_id": "w"
  },
  "updated_at": 1795369429,
  "revision": 7,
  "store": "${STORE_ID}",
  "size": 5,
  "checksum": "crc32:${crc32('five!').toString(16).padStart(8, '0')}",
  "written_at": ${AT_MS},
  "metadata_checksum": "crc32:2ff5fbc4"
}`
    expect(tree.text('ns/evidence/a.json')).toBe('five!')
    expect(tree.text(`ns/${META}/evidence/a.json.json`)).toBe(meta)
    for (const path of ['ns/evidence/a.json', `ns/${META}/evidence/a.json.json`]) {
      const stat = statSync(tree.path(path))
      expect(Math.floor(stat.mtimeMs)).toBe(AT_MS)
      if (!ON_WINDOWS) expect(stat.mode & 0o777).toBe(0o600)
    }
    if (!ON_WINDOWS) expect(statSync(tree.path('ns/evidence')).mode & 0o777).toBe(0o700)
  })

  test.skipIf(ON_WINDOWS)('uses the modes of the store', () => {
    const task = { ...tree.task([tree.write('d/k', 'x')]) }
    const context = { ...tree.context, modes: { file: 0o644, directory: 0o755 } }
    expect(materialize(nodeFileSystem, { ...task, context })).toEqual(SUCCESS)
    expect(statSync(tree.path('ns/d/k')).mode & 0o777).toBe(0o644)
    expect(statSync(tree.path('ns', META, 'd', 'k.json')).mode & 0o777).toBe(0o644)
    expect(statSync(tree.path('ns/d')).mode & 0o777).toBe(0o755)
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['bytes that are no text', Buffer.from([0, 255, 10, 13, 0])],
    ['several megabytes, over many pieces', Buffer.alloc(3 * 1024 * 1024 + 17, 'abcdefg')],
  ])('takes a value of %s', (_, value) => {
    succeed([tree.write('k', value), tree.write('after', 'x')])
    expect(readFileSync(tree.path('ns/k')).equals(value)).toBe(true)
    expect(tree.text('ns/after')).toBe('x')
  })

  test('replaces what was there, content and metadata', () => {
    tree.put('ns/k', 'old and longer')
    tree.put(`ns/${META}/k.json`, '{}')
    succeed([tree.write('k', 'new', { writer: null, writerAtS: null, anonymous: true })])
    expect(tree.text('ns/k')).toBe('new')
    expect(tree.text(`ns/${META}/k.json`)).toContain('"anonymous": true')
  })

  test('takes keys that are long, deep, odd or close to reserved names', () => {
    const keys = [
      `${'x'.repeat(250)}/${'é'.repeat(125)}`,
      Array.from({ length: 40 }, (_, depth) => `d${depth}`).join('/'),
      '__proto__',
      'constructor/prototype',
      '.agent_state',
      '.agent_state_meta.json',
      'line\nbreak "and" \\ more',
      'e\u0301',
      '\u00e9',
    ]
    succeed(keys.map((key) => tree.write(key, `value of ${key}`)))
    for (const key of keys) expect(tree.text(`ns/${key}`)).toBe(`value of ${key}`)
  })

  test('finds its namespace again after it was deleted by hand', () => {
    succeed([tree.write('a', '1')])
    rmSync(tree.path('ns'), { recursive: true })
    succeed([tree.write('b', '2')])
    expect(tree.contents()).toEqual(['ns/b'])
  })

  test('does without the directory for temporary files', () => {
    expect(existsSync(tree.path('.agent_state', 'tmp'))).toBe(false)
    succeed([tree.write('k', 'x')])
    expect(existsSync(tree.path('.agent_state', 'tmp'))).toBe(true)
  })
})

describe('many writes', () => {
  const operations = (): TreeOperation[] =>
    Array.from({ length: 50 }, (_, index) => tree.write(`k${index}`, `value ${index}`))

  test('are copied whole, whatever their sizes and the sizes of those before them', () => {
    const sizes = [10, 5000, 4096, 0, 300_000, 10, 262_144, 600_000, 1]
    const values = sizes.map((size, index) => String(index).repeat(size))
    succeed(values.map((value, index) => tree.write(`k${index}`, value)))
    values.forEach((value, index) => expect(readFileSync(tree.path(`ns/k${index}`), 'utf8')).toBe(value))
  })

  test('have several files made before the first of them is synced, and few open at once', () => {
    let most = 0
    const fs: FaultyFileSystem = new FaultyFileSystem(() => {
      most = Math.max(most, fs.opened.size)
      return null
    })
    expect(materialize(fs, tree.task(operations()))).toEqual(SUCCESS)
    // Eight on their way, and the journal.
    expect(most).toBe(9)
    expect(fs.opened.size).toBe(0)
  })

  test.each(['EMFILE', 'ENFILE'])('get along with fewer where the system refuses: %s', (code) => {
    const fs: FaultyFileSystem = new FaultyFileSystem(({ name }) =>
      name === 'open' && fs.opened.size >= 4 ? code : null,
    )
    expect(materialize(fs, tree.task(operations()))).toEqual(SUCCESS)
    expect(tree.temporaries()).toEqual([])
    expect(fs.opened.size).toBe(0)
  })

  test('of which some can’t be synced leave the others alone, and nothing behind', () => {
    let syncs = 0
    const fs = new FaultyFileSystem(({ name, path }) =>
      name === 'sync' && path.includes('/.agent_state/tmp/') && ++syncs % 7 === 0 ? 'EIO' : null,
    )
    const { failures } = materialize(fs, tree.task(operations()))
    expect(failures.length).toBeGreaterThan(5)
    const failed = new Set(failures.map(({ index }) => index))
    for (let index = 0; index < 50; index++) {
      expect(existsSync(tree.path(`ns/k${index}`))).toBe(!failed.has(index))
      expect(existsSync(tree.path(`ns/${META}/k${index}.json`))).toBe(!failed.has(index))
    }
    expect(tree.temporaries()).toEqual([])
    expect(fs.opened.size).toBe(0)
  })
})

describe('metadata whose place is taken', () => {
  test('goes to the second place and names its key: `a` before `a.json/b`', () => {
    succeed([tree.write('a', '1'), tree.write('a.json/b', '2')])
    expect(tree.text(`ns/${META}/a.json`)).not.toContain('"key"')
    expect(tree.text(secondPlace('a.json/b'))).toContain('\n  "key": "a.json/b",\n')
    expect(existsSync(tree.path('ns', META, 'a.json', 'b.json'))).toBe(false)
  })

  test('goes to the second place: `a.json/b` before `a`', () => {
    succeed([tree.write('a.json/b', '2'), tree.write('a', '1')])
    expect(tree.text(`ns/${META}/a.json/b.json`)).not.toContain('"key"')
    expect(tree.text(secondPlace('a'))).toContain('\n  "key": "a",\n')
  })

  test('finds the same place whether its rival comes in the same task or came before', () => {
    succeed([tree.write('a', '1')])
    succeed([tree.write('a.json/b', '2')])
    expect(existsSync(tree.path(secondPlace('a.json/b')))).toBe(true)
    succeed([tree.write('a', '3'), tree.write('a.json/b', '4')])
    expect(tree.text(`ns/${META}/a.json`)).toContain('"checksum"')
    expect(tree.text(secondPlace('a.json/b'))).toContain('"checksum"')
  })

  test('moves to the first place once that is free, and leaves nothing in the second', () => {
    succeed([tree.write('a', '1'), tree.write('a.json/b', '2')])
    succeed([tree.delete('a')])
    succeed([tree.write('a.json/b', '3')])
    expect(tree.text(`ns/${META}/a.json/b.json`)).not.toContain('"key"')
    expect(existsSync(tree.path('ns', META, META))).toBe(false)
    expect(tree.text('ns/a.json/b')).toBe('3')
  })

  test('is deleted from both places', () => {
    succeed([tree.write('a', '1'), tree.write('a.json/b', '2')])
    tree.put(secondPlace('a'), '{}')
    succeed([tree.delete('a'), tree.delete('a.json/b')])
    expect(tree.snapshot()).toEqual({ 'ns/': 'directory', [`ns/${META}/`]: 'directory' })
  })
})

describe('a delete', () => {
  test('removes content and metadata and prunes what it left empty, up to the namespace', () => {
    succeed([tree.write('a/b/c', '1'), tree.write('a/other', '2')])
    succeed([tree.delete('a/b/c')])
    expect(Object.keys(tree.snapshot())).toEqual([
      'ns/',
      `ns/${META}/`,
      `ns/${META}/a/`,
      `ns/${META}/a/other.json`,
      'ns/a/',
      'ns/a/other',
    ])
    succeed([tree.delete('a/other')])
    expect(Object.keys(tree.snapshot())).toEqual(['ns/', `ns/${META}/`])
  })

  test('keeps directories that hold something else', () => {
    succeed([tree.write('a/b/c', '1')])
    tree.put('ns/a/by hand', 'x')
    succeed([tree.delete('a/b/c')])
    expect(tree.contents()).toEqual(['ns/a/by hand'])
  })

  test('of what is not there succeeds, whatever is in its place', () => {
    tree.put('ns/file', 'x')
    mkdirSync(tree.path('ns/directory'))
    symlinkSync('directory', tree.path('ns/symlink'))
    const before = tree.snapshot()
    succeed([
      tree.delete('missing'),
      tree.delete('missing/below'),
      tree.delete('file/below'),
      tree.delete('symlink/below'),
      tree.delete('directory'),
    ])
    expect(tree.snapshot()).toEqual(before)
    expect(materialize(nodeFileSystem, tree.task([tree.delete('k')], null, 'no such namespace'))).toEqual(
      SUCCESS,
    )
    expect(existsSync(tree.path('no such namespace'))).toBe(false)
  })

  test('of a symlink removes the symlink, not what it points to', () => {
    tree.put('ns/target', 'kept')
    symlinkSync('target', tree.path('ns/k'))
    succeed([tree.delete('k')])
    expect(tree.contents()).toEqual(['ns/target'])
  })

  test('finishes what an interrupted one began: the content is gone, the rest is not', () => {
    succeed([tree.write('a/b/c', '1')])
    rmSync(tree.path('ns/a/b/c'))
    rmSync(tree.path('ns/a/b'), { recursive: true })
    succeed([tree.delete('a/b/c')])
    expect(Object.keys(tree.snapshot())).toEqual(['ns/', `ns/${META}/`])
  })

  test('that may not prune has done its work; one that could not for another reason is tried again', () => {
    for (const [code, failures] of [
      ['EACCES', []],
      ['EIO', [{ index: 0, code: 'EIO' }]],
    ] as const) {
      succeed([tree.write('a/b', '1')])
      const fs = new FaultyFileSystem(({ name }) => (name === 'removeDirectory' ? code : null))
      expect(materialize(fs, tree.task([tree.delete('a/b')])).failures).toMatchObject(failures)
      expect(tree.contents()).toEqual([])
      succeed([tree.delete('a/b'), tree.write('a', '2')])
      succeed([tree.delete('a')])
    }
  })

  test('makes room for a write of the same task: a file becomes a directory', () => {
    succeed([tree.write('a', '1')])
    succeed([tree.write('a/b', '2'), tree.delete('a')])
    expect(tree.contents()).toEqual(['ns/a/b'])
    expect(existsSync(tree.path('ns', META, 'a.json'))).toBe(false)
  })

  test('makes room for a write of the same task: a directory becomes a file', () => {
    succeed([tree.write('a/b/c', '1')])
    succeed([tree.write('a', '2'), tree.delete('a/b/c')])
    expect(tree.contents()).toEqual(['ns/a'])
    expect(existsSync(tree.path('ns', META, 'a'))).toBe(false)
  })
})

describe('what fails is reported, and the rest proceeds:', () => {
  /** Applies the operation between two others that must succeed. */
  function applyAmong(operation: TreeOperation): MaterializeAnswer {
    const answer = apply([tree.write('before', '1'), operation, tree.write('after', '2')])
    expect(tree.text('ns/before')).toBe('1')
    expect(tree.text('ns/after')).toBe('2')
    expect(tree.text(`ns/${META}/before.json`)).toContain('"revision": 7')
    expect(tree.temporaries()).toEqual([])
    return answer
  }

  test('a directory where the content should go, which is never deleted', () => {
    tree.put('ns/k/by hand', 'x')
    const answer = applyAmong(tree.write('k', 'new'))
    expect(answer.failures).toEqual([{ index: 1, code: 'EISDIR', message: expect.stringContaining('/ns/k') }])
    expect(tree.text('ns/k/by hand')).toBe('x')
    expect(existsSync(tree.path('ns', META, 'k.json'))).toBe(false)
  })

  test('an empty directory where the content should go', () => {
    mkdirSync(tree.path('ns/k'), { recursive: true })
    expect(applyAmong(tree.write('k', 'new')).failures).toMatchObject([{ index: 1, code: 'EISDIR' }])
    expect(statSync(tree.path('ns/k')).isDirectory()).toBe(true)
  })

  test('a file where a directory should be', () => {
    tree.put('ns/a', 'by hand')
    const answer = applyAmong(tree.write('a/b', 'new'))
    expect(answer.failures).toEqual([
      { index: 1, code: 'ENOTDIR', message: expect.stringMatching(/a file is in the way.*\/ns\/a$/) },
    ])
    expect(tree.text('ns/a')).toBe('by hand')
  })

  test.skipIf(ON_WINDOWS).each([
    ['a directory of a key', 'ns/a', 'a/b'],
    ['the metadata directory', `ns/${META}`, 'k'],
  ])('a symlink in place of %s, which is not followed', (_, path, key) => {
    mkdirSync(tree.path('outside'))
    mkdirSync(tree.path('ns'), { recursive: true })
    symlinkSync(tree.path('outside'), tree.path(path))
    const { failures } = apply([tree.write(key, 'new')])
    expect(failures).toEqual([
      { index: 0, code: 'ENOTDIR', message: expect.stringContaining('a symlink is in the way') },
    ])
    expect(readdirSync(tree.path('outside'))).toEqual([])
    expect(lstatSync(tree.path(path)).isSymbolicLink()).toBe(true)
    expect(tree.temporaries()).toEqual([])
  })

  test.skipIf(ON_WINDOWS).each(['create', 'recreate', null] as const)(
    'a symlink in place of the namespace (change: %s), which is not followed',
    (change) => {
      tree.put('outside/kept', 'x')
      symlinkSync('outside', tree.path('ns'))
      const { failures } = apply([tree.write('k', 'new'), tree.delete('kept')], change)
      expect(failures.map(({ index, code }) => [index, code])).toEqual([
        ...(change === null ? [] : [[-1, 'ENOTDIR']]),
        [0, 'ENOTDIR'],
      ])
      expect(tree.snapshot('outside')).toEqual({ 'outside/kept': expect.stringMatching(/ x$/) })
    },
  )

  test.skipIf(ON_WINDOWS)('a symlink in place of the directory for temporary files', () => {
    mkdirSync(tree.path('outside'))
    symlinkSync(tree.path('outside'), tree.path('.agent_state', 'tmp'))
    expect(apply([tree.write('k', 'new')]).failures).toMatchObject([{ index: 0, code: 'ENOTDIR' }])
    expect(readdirSync(tree.path('outside'))).toEqual([])
  })

  test.skipIf(ON_WINDOWS)(
    'metadata directories that are blocked further down: those keys use the second place',
    () => {
      mkdirSync(tree.path('outside'))
      mkdirSync(tree.path('ns', META), { recursive: true })
      symlinkSync(tree.path('outside'), tree.path('ns', META, 'a'))
      succeed([tree.write('a/b', 'new')])
      expect(tree.text(secondPlace('a/b'))).toContain('"key": "a/b"')
      expect(readdirSync(tree.path('outside'))).toEqual([])
    },
  )

  test.skipIf(ON_WINDOWS)(
    'not a symlink, FIFO or hard link at the content’s own path: it is replaced, not what it leads to',
    () => {
      tree.put('ns/target', 'kept')
      symlinkSync('target', tree.path('ns/k'))
      symlinkSync('nowhere', tree.path('ns/dangling'))
      execFileSync('mkfifo', [tree.path('ns/fifo')])
      succeed(['k', 'dangling', 'fifo'].map((key) => tree.write(key, `new ${key}`)))
      for (const key of ['k', 'dangling', 'fifo']) {
        expect(lstatSync(tree.path('ns', key)).isFile()).toBe(true)
        expect(tree.text(`ns/${key}`)).toBe(`new ${key}`)
      }
      expect(tree.text('ns/target')).toBe('kept')
      expect(existsSync(tree.path('ns/nowhere'))).toBe(false)
    },
  )

  test('a value that is damaged in the journal', () => {
    tree.put('ns/k', 'old')
    const operation = tree.write('k', 'value')
    const segment = readFileSync(tree.segment)
    segment[segment.length - 1]! ^= 1
    writeFileSync(tree.segment, segment)
    const answer = applyAmong(operation)
    expect(answer.failures).toEqual([
      { index: 1, code: 'CHECKSUM', message: expect.stringContaining(tree.segment) },
    ])
    expect(tree.text('ns/k')).toBe('old')
  })

  test('a write for which there is no room, which leaves none of it taken from the others', () => {
    const operations = ['a', 'b', 'c'].map((key) => tree.write(key, key))
    for (const failing of [1, 2]) {
      const seen: number[] = []
      const fs = new FaultyFileSystem(({ name, path }) => {
        if (name !== 'write' || !path.includes('/tmp/')) return null
        seen.push(tree.temporaries().length)
        return seen.length === failing ? 'ENOSPC' : null
      })
      expect(materialize(fs, tree.task(operations)).failures).toMatchObject([{ index: 0, code: 'ENOSPC' }])
      expect(seen).toEqual([...[1, 2].slice(0, failing), 1, 2, 3, 4])
      expect(tree.text('ns/b')).toBe('b')
      expect(tree.temporaries()).toEqual([])
    }
  })

  test('a value that the journal ends in the middle of', () => {
    const first = tree.write('first', 'whole')
    const operation = tree.write('k', 'x'.repeat(1_000_000))
    truncateSync(tree.segment, statSync(tree.segment).size - 1)
    expect(apply([operation, first]).failures).toMatchObject([{ index: 0, code: 'CHECKSUM' }])
    expect(tree.contents()).toEqual(['ns/first'])
    expect(tree.temporaries()).toEqual([])
  })

  test('a segment that is missing', () => {
    const operation = tree.write('k', 'x')
    if (operation.kind !== 'write') throw new Error('not a write')
    const elsewhere = { ...operation.value, segment: `${tree.segment}0` }
    expect(applyAmong({ ...operation, value: elsewhere }).failures).toMatchObject([
      { index: 1, code: 'ENOENT' },
    ])
  })

  test('a namespace name that the file system does not take', () => {
    const { failures } = materialize(
      nodeFileSystem,
      tree.task([tree.write('k', 'x'), tree.delete('l')], 'create', 'n'.repeat(300)),
    )
    expect(failures.map(({ index, code }) => [index, code])).toEqual([
      [-1, 'ENAMETOOLONG'],
      [0, 'ENAMETOOLONG'],
      [1, 'ENAMETOOLONG'],
    ])
  })
})

describe('a change of the namespace', () => {
  test('create makes its directory, also for a namespace without keys, and syncs its entry every time', () => {
    succeed([], 'create')
    expect(tree.snapshot()).toEqual({ 'ns/': 'directory' })
    const fs = new FaultyFileSystem()
    expect(materialize(fs, tree.task([], 'create'))).toEqual(SUCCESS)
    expect(fs.calls).toContainEqual({ name: 'sync', path: tree.root })
  })

  test('remove deletes everything in it and its directory', () => {
    succeed([tree.write('a/b/c', '1'), tree.write('d', '2')], 'create')
    tree.put('ns/x/by hand', 'x')
    tree.put('ns/.agent_state_tmp.left', 'x')
    if (!ON_WINDOWS) execFileSync('mkfifo', [tree.path('ns/fifo')])
    tree.put('other/k', 'kept')
    symlinkSync(tree.path('other'), tree.path('ns/symlink'))
    succeed([tree.delete('d')], 'remove')
    expect(tree.contents()).toEqual(['other/k'])
    expect(existsSync(tree.path('ns'))).toBe(false)
  })

  test('remove of what is not there, or of something that is no namespace, changes nothing', () => {
    succeed([], 'remove')
    tree.put('ns', 'a file')
    succeed([], 'remove')
    expect(tree.text('ns')).toBe('a file')
  })

  test('recreate leaves an empty directory, and what the same task writes', () => {
    succeed([tree.write('a/b', '1'), tree.write('c', '2'), tree.write('c.json/d', '3')])
    succeed([], 'recreate')
    expect(tree.snapshot()).toEqual({ 'ns/': 'directory' })
    succeed([tree.write('a/b', '1'), tree.write('c', '2'), tree.write('c.json/d', '3')])
    succeed([tree.write('a/new', '4'), tree.delete('c')], 'recreate')
    expect(tree.contents()).toEqual(['ns/a/new'])
    expect(Object.keys(tree.snapshot())).toEqual([
      'ns/',
      `ns/${META}/`,
      `ns/${META}/a/`,
      `ns/${META}/a/new.json`,
      'ns/a/',
      'ns/a/new',
    ])
  })

  test.each(['remove', 'recreate'] as const)(
    '%s never deletes what the same task writes, not even for a moment (I6)',
    (change) => {
      const operations = ['a/b', 'c', 'c.json/d'].map((key) => tree.write(key, `value of ${key}`))
      tree.put('ns/stale', 'x')
      succeed(operations, 'create')
      const kept = tree.snapshot()
      const fs = new FaultyFileSystem()
      expect(materialize(fs, tree.task(operations, change))).toEqual(SUCCESS)
      delete kept['ns/stale']
      expect(tree.snapshot()).toEqual(kept)
      const removed = fs.calls.filter(({ name }) => name === 'unlink')
      expect(removed).toEqual([{ name: 'unlink', path: tree.path('ns/stale') }])
    },
  )

  test.skipIf(process.platform !== 'linux')(
    'reports a name that it can’t delete because it is not UTF-8',
    () => {
      succeed([tree.write('k', '1')], 'create')
      writeFileSync(Buffer.concat([Buffer.from(`${tree.path('ns')}/`), Buffer.from([0xff])]), '')
      expect(apply([], 'remove').failures).toMatchObject([{ index: -1, code: 'ENOTEMPTY' }])
      expect(existsSync(tree.path('ns/k'))).toBe(false)
    },
  )

  test('recreate is durable in every directory that it changed', () => {
    succeed([tree.write('a/b', '1'), tree.write('c/d', '2')])
    tree.put('ns/a/stale', 'x')
    const fs = new FaultyFileSystem()
    expect(materialize(fs, tree.task([tree.write('a/b', '3')], 'recreate'))).toEqual(SUCCESS)
    const calls = fs.calls.map(({ name, path }) => `${name} ${path.slice(tree.root.length + 1)}`)
    const beforeWrites = calls.slice(
      0,
      calls.findIndex((call) => call.startsWith('open .agent_state/tmp')),
    )
    for (const directory of ['ns', 'ns/a', `ns/${META}`, `ns/${META}/a`, '']) {
      expect(beforeWrites).toContain(`sync ${directory}`)
    }
  })

  test('what goes away on its own while it is removed or pruned is as wanted', () => {
    const gone = (path: string): never => {
      throw systemError('ENOENT', path)
    }
    const overtaken: FileSystem = {
      ...unsyncedFileSystem,
      unlink: (path) => gone((nodeFileSystem.unlink(path), path)),
      removeDirectory: (path) => gone((nodeFileSystem.removeDirectory(path), path)),
    }
    succeed([tree.write('a/b/c', '1'), tree.write('d', '2')])
    expect(materialize(overtaken, tree.task([tree.delete('a/b/c')]))).toEqual(SUCCESS)
    expect(Object.keys(tree.snapshot())).toEqual(['ns/', `ns/${META}/`, `ns/${META}/d.json`, 'ns/d'])
    expect(materialize(overtaken, tree.task([], 'remove'))).toEqual(SUCCESS)
    expect(tree.snapshot()).toEqual({})
  })

  test('what one part of a removal can’t do does not stop the rest', () => {
    succeed([tree.write('a/x', '1'), tree.write('b/x', '2'), tree.write('c/x', '3')], 'create')
    const stubborn = tree.path('ns/b/x')
    const fs = new FaultyFileSystem(({ name, path }) =>
      name === 'unlink' && path === stubborn ? 'EPERM' : null,
    )
    const { failures } = materialize(fs, tree.task([], 'remove'))
    expect(failures).toMatchObject([{ index: -1, code: 'EPERM' }])
    expect(tree.contents()).toEqual(['ns/b/x'])
    expect(fs.opened.size).toBe(0)
    succeed([], 'remove')
    expect(existsSync(tree.path('ns'))).toBe(false)
  })
})

describe('durability', () => {
  /** The calls of a task, as `name path`; temporary files are numbered. */
  function callsOf(operations: readonly TreeOperation[]): string[] {
    const fs = new FaultyFileSystem()
    expect(materialize(fs, tree.task(operations))).toEqual(SUCCESS)
    expect(fs.opened.size).toBe(0)
    return fs.calls
      .filter(({ name }) => ['sync', 'rename', 'unlink', 'removeDirectory', 'makeDirectory'].includes(name))
      .map(({ name, path }) => `${name} ${path.slice(tree.root.length + 1)}`.replace(/tmp\/.*/, 'tmp/*'))
  }

  test('contents are synced before they get their path, directories each once in a phase, metadata last (I5)', () => {
    mkdirSync(tree.path('.agent_state', 'tmp'))
    expect(callsOf([tree.write('a/x', '1'), tree.write('a/y', '2')])).toEqual([
      'makeDirectory ns',
      'makeDirectory ns/a',
      `makeDirectory ns/${META}`,
      `makeDirectory ns/${META}/a`,
      'sync ns',
      'sync ',
      `sync ns/${META}`,
      'sync .agent_state/tmp/*',
      'sync .agent_state/tmp/*',
      'sync .agent_state/tmp/*',
      'sync .agent_state/tmp/*',
      'rename ns/a/x',
      'rename ns/a/y',
      'sync ns/a',
      `rename ns/${META}/a/x.json`,
      `rename ns/${META}/a/y.json`,
      `sync ns/${META}/a`,
    ])
  })

  test('the way to a file is synced even if all of it was there', () => {
    const operations = [tree.write('a/x', '1')]
    callsOf(operations)
    const again = callsOf(operations).filter((call) => call.startsWith('sync') && !call.includes('tmp'))
    expect(again).toEqual(['sync ns', 'sync ', `sync ns/${META}`, 'sync ns/a', `sync ns/${META}/a`])
  })

  test('a delete is durable for the content before the metadata goes, also when repeated', () => {
    callsOf([tree.write('a/x', '1'), tree.write('b', '2')])
    const calls = callsOf([tree.delete('a/x')])
    expect(calls).toEqual([
      'unlink ns/a/x',
      'removeDirectory ns/a',
      'sync ns',
      `unlink ns/${META}/a/x.json`,
      `removeDirectory ns/${META}/a`,
      `sync ns/${META}`,
    ])
    expect(callsOf([tree.delete('a/x')])).toEqual(['sync ns', `sync ns/${META}`])
  })
})

test('a directory without permission fails its keys only', () => {
  succeed([tree.write('closed/k', '1'), tree.write('k', '1')])
  const closed = tree.path('ns/closed/')
  const fs = new FaultyFileSystem(({ name, path }) =>
    ['rename', 'unlink'].includes(name) && path.startsWith(closed) ? 'EACCES' : null,
  )
  for (const operation of [tree.write('closed/k', '2'), tree.delete('closed/k')]) {
    const { failures } = materialize(fs, tree.task([operation, tree.write('k', '2')]))
    expect(failures).toMatchObject([{ index: 0, code: 'EACCES' }])
    expect(tree.text('ns/closed/k')).toBe('1')
    expect(tree.text('ns/k')).toBe('2')
    expect(tree.temporaries()).toEqual([])
  }
})
