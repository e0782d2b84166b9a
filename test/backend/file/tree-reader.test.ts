import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { crc32 } from 'node:zlib'
import { encodeMetadata } from '../../../src/backend/file/metadata.js'
import { nodeFileSystem, type FileSystem } from '../../../src/backend/file/file-system.js'
import type {
  HeadsTask,
  ReadTaskAnswer,
  ReadTaskEntry,
  TaskHeadAnswer,
  TaskReadAnswer,
  TreeOperation,
} from '../../../src/backend/file/tasks.js'
import { readEntries, readHeads } from '../../../src/backend/file/tree-reader.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { FaultyFileSystem } from './faulty-file-system.js'
import { AT_MS, AT_S, TreeFixture } from './tree-fixture.js'

const ON_WINDOWS = process.platform === 'win32'
const CEILING = 100
const EPOCH = 90
const META = 'ns/.agent_state_meta'
let tree: TreeFixture

beforeEach(() => {
  tree = new TreeFixture()
})
afterEach(() => tree.remove())

function written(...operations: TreeOperation[]): void {
  expect(materialize(nodeFileSystem, tree.task(operations)).failures).toEqual([])
}

function heads(keys: readonly string[], fs: FileSystem = nodeFileSystem): TaskHeadAnswer[] {
  const { context } = tree
  const task: HeadsTask = { kind: 'heads', context, namespace: 'ns', keys, ceiling: CEILING, epoch: EPOCH }
  return readHeads(fs, task)
}

type InNamespace = Omit<ReadTaskEntry, 'namespace'>

function read(entries: readonly InNamespace[], fs: FileSystem = nodeFileSystem): ReadTaskAnswer {
  return readAny(
    entries.map((entry) => ({ namespace: 'ns', ...entry })),
    fs,
  )
}

function readAny(entries: readonly ReadTaskEntry[], fs: FileSystem = nodeFileSystem): ReadTaskAnswer {
  const { context } = tree
  return readEntries(fs, { kind: 'read', context, entries, ceiling: CEILING, epoch: EPOCH })
}

function readOne(
  key: string,
  fs: FileSystem = nodeFileSystem,
): { answer: TaskReadAnswer; text: string | null } {
  const { answers, bytes } = read([{ key }], fs)
  const answer = answers[0]!
  const text =
    answer.status === 'found'
      ? Buffer.from(bytes.subarray(answer.start, answer.start + answer.size)).toString()
      : null
  return { answer, text }
}

const ownHead = {
  revision: 7,
  writer: { writerId: 'w' },
  writerAtS: AT_S,
  anonymous: false,
  external: false,
  size: 5,
  updatedAtMs: AT_MS,
}

function externalHead(size: number, writer: object | null = null, writerAtS: number | null = null): object {
  return {
    revision: EPOCH,
    writer,
    writerAtS,
    anonymous: true,
    external: true,
    size,
    updatedAtMs: expect.any(Number),
    fingerprint: expect.any(String),
  }
}

/** Both ways of reading say the same of an entry. */
function expectFound(key: string, head: object, text: string): void {
  expect(heads([key])).toEqual([{ status: 'found', head }])
  const one = readOne(key)
  expect(one.answer).toMatchObject({ status: 'found', head, corruptMetadata: null })
  expect(one.text).toBe(text)
  if (one.answer.status === 'found') expect(one.answer.head).toEqual(head)
}

function expectMissing(key: string): void {
  expect(heads([key])).toEqual([{ status: 'missing' }])
  expect(readOne(key).answer).toEqual({ status: 'missing' })
}

describe('an entry of the store', () => {
  test('reads back with everything that was written', () => {
    written(tree.write('a/k', 'five!'))
    expectFound('a/k', ownHead, 'five!')
  })

  test('reads back when its metadata is in the second place', () => {
    written(tree.write('a', '.....'), tree.write('a.json/b', 'five!'))
    expectFound('a', ownHead, '.....')
    expectFound('a.json/b', ownHead, 'five!')
  })

  test('keeps the last named writer when the write was anonymous', () => {
    written(tree.write('k', 'five!', { anonymous: true }))
    expectFound('k', { ...ownHead, anonymous: true }, 'five!')
    written(tree.write('k', '', { anonymous: true, writer: null, writerAtS: null }))
    expectFound('k', { ...ownHead, anonymous: true, writer: null, writerAtS: null, size: 0 }, '')
  })

  test('that was copied or checked out again, with another time, is still the store’s own', () => {
    written(tree.write('k', 'five!'))
    copyFileSync(tree.path('ns/k'), tree.path('ns/copy'))
    renameSync(tree.path('ns/copy'), tree.path('ns/k'))
    utimesSync(tree.path('ns/k'), 5, 5)
    expectFound('k', ownHead, 'five!')
  })

  test('with another time is told by all of its bytes, however many', () => {
    const large = 'x'.repeat(1_000_000)
    written(tree.write('k', large))
    utimesSync(tree.path('ns/k'), 5, 5)
    expectFound('k', { ...ownHead, size: large.length }, large)
    const edited = `${large.slice(1)}y`
    tree.put('ns/k', edited)
    expectFound('k', externalHead(large.length, { writerId: 'w' }, AT_S), edited)
  })

  test('is known by its checksum: each file is read once, and nothing else is asked of it', () => {
    written(tree.write('k', 'five!'))
    const fs = new FaultyFileSystem()
    expect(readOne('k', fs).text).toBe('five!')
    const perFile = (path: string): string[] =>
      fs.calls.filter((call) => call.path === path).map(({ name }) => name)
    expect(perFile(tree.path('ns/k'))).toEqual(['open', 'read', 'close'])
    expect(perFile(tree.path(META, 'k.json'))).toEqual(['open', 'read', 'close'])
  })

  test('whose metadata claims more bytes than any content has is external', () => {
    const writer = { writerId: 'w' }
    const crc = crc32('five!')
    const own = {
      revision: 7,
      storeId: tree.context.storeId,
      crc,
      writtenAtMs: AT_MS,
      anonymous: false,
      key: null,
    }
    for (const size of [6, 300_000, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      tree.put('ns/k', 'five!')
      tree.put(`${META}/k.json`, encodeMetadata({ writer, writerAtS: AT_S, own: { ...own, size } }))
      expectFound('k', externalHead(5, writer, AT_S), 'five!')
    }
  })

  test('that could not be read once is read again', () => {
    written(tree.write('k', 'five!'))
    for (const path of ['ns/k', `${META}/k.json`]) {
      let failures = 0
      const fails = (call: { name: string; path: string | null }): boolean =>
        call.name === 'read' && call.path === tree.path(path) && failures++ === 0
      expect(readOne('k', new FaultyFileSystem((call) => (fails(call) ? 'EIO' : null))).text).toBe('five!')
      expect(failures).toBeGreaterThan(1)
    }
  })

  test('is looked at without opening its content when size and time fit', () => {
    written(tree.write('k', 'five!'))
    const fs = new FaultyFileSystem()
    heads(['k'], fs)
    expect(fs.calls.filter(({ name }) => name === 'open')).toEqual([
      { name: 'open', path: tree.path(META, 'k.json') },
    ])
  })
})

describe('an entry that was changed by something else', () => {
  test('is external, and keeps the last named writer', () => {
    written(tree.write('k', 'five!'))
    tree.put('ns/k', 'edited by hand')
    expectFound('k', externalHead(14, { writerId: 'w' }, AT_S), 'edited by hand')
    tree.put('ns/k', 'FIVE!')
    expectFound('k', externalHead(5, { writerId: 'w' }, AT_S), 'FIVE!')
  })

  test('is external without metadata, and under a revision that was never given out', () => {
    tree.put('ns/bare', 'x', 1234)
    expectFound('bare', { ...externalHead(1), updatedAtMs: 1234 }, 'x')
    written(tree.write('k', 'five!', { revision: CEILING + 1 }))
    expectFound('k', externalHead(5, { writerId: 'w' }, AT_S), 'five!')
  })

  test('is external when another store wrote it', () => {
    const context = { ...tree.context, storeId: 'another' }
    materialize(nodeFileSystem, { ...tree.task([tree.write('k', 'five!')]), context })
    expectFound('k', externalHead(5, { writerId: 'w' }, AT_S), 'five!')
  })

  test('is external when its metadata was moved here from another key', () => {
    written(tree.write('a', '.....'), tree.write('a.json/b', 'five!'))
    const second = tree.path(META, '.agent_state_meta')
    const [name] = nodeFileSystem.list(second).map((entry) => entry.name)
    renameSync(`${second}/${name}`, tree.path(META, 'c.json'))
    renameSync(tree.path('ns/a.json/b'), tree.path('ns/c'))
    expectFound('c', externalHead(5, { writerId: 'w' }, AT_S), 'five!')
  })

  test('has no metadata when what lies in its second place is another key’s', () => {
    written(tree.write('a', '.....'), tree.write('a.json/b', 'five!'))
    const second = tree.path(META, '.agent_state_meta')
    const [name] = nodeFileSystem.list(second).map((entry) => entry.name)
    const text = readFileSync(`${second}/${name}`, 'utf8')
    writeFileSync(`${second}/${name}`, text.replace('"key": "a.json/b"', '"key": "other"'))
    expectFound('a.json/b', externalHead(5), 'five!')
  })

  test('has a fingerprint that is the same until the content changes again', () => {
    tree.put('ns/k', 'x')
    const fingerprint = (): string | undefined => {
      const [head] = heads(['k'])
      const { answer } = readOne('k')
      if (head?.status !== 'found' || answer.status !== 'found') throw new Error('not found')
      expect(answer.head?.fingerprint).toBe(head.head.fingerprint)
      return head.head.fingerprint
    }
    const first = fingerprint()
    expect(fingerprint()).toBe(first)
    appendFileSync(tree.path('ns/k'), 'y')
    expect(fingerprint()).not.toBe(first)
  })
})

test('content that differs while size and time fit is damaged: CONTENT_CORRUPT when read, not before', () => {
  written(tree.write('k', 'five!'))
  tree.put('ns/k', 'fivE!', AT_MS)
  expect(heads(['k'])).toEqual([{ status: 'found', head: ownHead }])
  const { answers, bytes } = read([{ key: 'k' }])
  expect(answers).toEqual([{ status: 'corrupt', head: ownHead, path: tree.path('ns/k'), offset: null }])
  expect(bytes.length).toBe(0)
})

describe('metadata that can’t be parsed', () => {
  test.each([
    ['is no JSON', '{'],
    ['is larger than any metadata', `{"x": "${'x'.repeat(1024 * 1024)}"}`],
  ])('and %s is named; the value stays readable', (_, metadata) => {
    tree.put('ns/k', 'value')
    const path = tree.put(`${META}/k.json`, metadata)
    expect(heads(['k'])).toEqual([{ status: 'corrupt-metadata', path, head: externalHead(5) }])
    const { answer, text } = readOne('k')
    expect(answer).toMatchObject({ status: 'found', corruptMetadata: path, head: externalHead(5) })
    expect(text).toBe('value')
  })
})

describe('what is no regular file is missing:', () => {
  test('nothing, a directory, a key below a file', () => {
    tree.put('ns/directory/k', 'x')
    tree.put('ns/file', 'x')
    for (const key of ['missing', 'missing/k', 'directory', 'file/k']) expectMissing(key)
  })

  test('everything, in a namespace that is missing or a symlink', () => {
    expectMissing('k')
    tree.put('other/k', 'x')
    symlinkSync('other', tree.path('ns'))
    expectMissing('k')
  })

  test('a symlink, whatever it leads to, also in a directory’s place', () => {
    tree.put('outside/k', 'x')
    mkdirSync(tree.path('ns'))
    symlinkSync(tree.path('outside/k'), tree.path('ns/to-file'))
    symlinkSync(tree.path('outside'), tree.path('ns/to-directory'))
    symlinkSync('loop', tree.path('ns/loop'))
    symlinkSync('nowhere', tree.path('ns/dangling'))
    for (const key of ['to-file', 'to-directory', 'to-directory/k', 'loop', 'loop/k', 'dangling']) {
      expectMissing(key)
    }
  })

  test.skipIf(ON_WINDOWS)('a FIFO, without waiting for a writer', () => {
    mkdirSync(tree.path('ns'))
    execFileSync('mkfifo', [tree.path('ns/fifo')])
    expectMissing('fifo')
  })

  test.skipIf(ON_WINDOWS)('a FIFO, a directory or a symlink with the metadata of a content', () => {
    written(tree.write('fifo', 'five!'), tree.write('directory', 'five!'), tree.write('symlink', 'five!'))
    for (const key of ['fifo', 'directory', 'symlink']) renameSync(tree.path('ns', key), tree.path(key))
    execFileSync('mkfifo', [tree.path('ns/fifo')])
    mkdirSync(tree.path('ns/directory'))
    symlinkSync('../symlink', tree.path('ns/symlink'))
    for (const key of ['fifo', 'directory', 'symlink']) expectMissing(key)
  })

  test.skipIf(ON_WINDOWS)('a FIFO or symlink in the metadata’s place: then there is no metadata', () => {
    written(tree.write('fifo', 'five!'), tree.write('symlink', 'five!'), tree.write('a/k', 'five!'))
    renameSync(tree.path(META, 'symlink.json'), tree.path('ns/target'))
    symlinkSync('../target', tree.path(META, 'symlink.json'))
    rmSync(tree.path(META, 'fifo.json'))
    execFileSync('mkfifo', [tree.path(META, 'fifo.json')])
    renameSync(tree.path(META, 'a'), tree.path('moved'))
    symlinkSync('../../moved', tree.path(META, 'a'))
    for (const key of ['fifo', 'symlink', 'a/k']) expectFound(key, externalHead(5), 'five!')
  })
})

describe('what the system refuses is an error, never "missing":', () => {
  test.each([
    ['lstat', 'ns'],
    ['lstat', 'ns/a/k'],
    ['open', `${META}/a/k.json`],
    ['read', `${META}/a/k.json`],
  ] as const)('a head whose %s of %s fails', (name, path) => {
    written(tree.write('a/k', 'five!'), tree.write('other', 'five!'))
    const fs = new FaultyFileSystem((call) =>
      call.name === name && call.path === tree.path(path) ? 'EACCES' : null,
    )
    const answers = heads(['a/k', 'other'], fs)
    expect(answers[0]).toEqual({
      status: 'failed',
      code: 'EACCES',
      path: tree.path('ns/a/k'),
      message: expect.any(String),
    })
    if (path !== 'ns') expect(answers[1]).toEqual({ status: 'found', head: ownHead })
    expect(fs.opened.size).toBe(0)
  })

  test.each(['open', 'stat', 'read', 'close'] as const)('a value whose %s fails', (name) => {
    written(tree.write('k', 'five!'), tree.write('other', 'five!'))
    const path = tree.path('ns/k')
    // Only what is not the store's own is looked at.
    if (name === 'stat') tree.put('ns/k', 'six!!!')
    const fs = new FaultyFileSystem((call) => (call.name === name && call.path === path ? 'EIO' : null))
    const { answers } = read([{ key: 'k' }, { key: 'other' }], fs)
    expect(answers).toMatchObject([{ status: 'failed', code: 'EIO', path }, { status: 'found' }])
    expect(fs.opened.size).toBe(0)
  })

  test('the system’s own error names the path', () => {
    mkdirSync(tree.path('ns'))
    const key = 'x'.repeat(300)
    expect(heads([key])).toMatchObject([
      { status: 'failed', code: 'ENAMETOOLONG', path: tree.path('ns', key) },
    ])
  })

  test('a file that no array can hold', () => {
    tree.put('ns/huge', '')
    const fs: FileSystem = {
      ...nodeFileSystem,
      stat: (fd) => ({ ...nodeFileSystem.stat(fd), size: 2 ** 31 }),
    }
    expect(readOne('huge', fs).answer).toMatchObject({ status: 'failed', code: 'EFBIG' })
  })
})

describe('many values at once', () => {
  test('come behind each other, in order, in a buffer that can be transferred', () => {
    const big = 'b'.repeat(100_000)
    written(tree.write('one', 'first'), tree.write('empty', ''), tree.write('big', big))
    const keys = ['one', 'missing', 'empty', 'big', 'one']
    const { answers, bytes } = read(keys.map((key) => ({ key })))
    const texts = answers.map((answer) =>
      answer.status === 'found'
        ? Buffer.from(bytes.subarray(answer.start, answer.start + answer.size)).toString()
        : answer.status,
    )
    expect(texts).toEqual(['first', 'missing', '', big, 'first'])
    expect(bytes.byteLength).toBe(bytes.buffer.byteLength)
  })

  test.each([[[]], [['missing']], [['one']], [['empty']]])('are as many bytes as there are: %j', (keys) => {
    written(tree.write('one', 'first'), tree.write('empty', ''))
    const { bytes } = read(keys.map((key) => ({ key })))
    expect(bytes.byteLength).toBe(keys[0] === 'one' ? 5 : 0)
    expect(bytes.byteLength).toBe(bytes.buffer.byteLength)
  })

  test('are put off once an answer is large', () => {
    const eight = Buffer.alloc(8 * 1024 * 1024, 'x')
    const value = tree.value(eight)
    const { answers, bytes } = read(['a', 'b', 'c', 'd'].map((key) => ({ key, value })))
    expect(answers.map(({ status }) => status)).toEqual(['found', 'found', 'later', 'later'])
    expect(bytes.length).toBe(2 * eight.length)
  })

  test.each(['tree', 'journal'] as const)(
    'of the %s are put off where there is no room for them, and all behind them, too (I9)',
    (place) => {
      const sizes = [10, 7, 1].map((mebibytes) => mebibytes * 1024 * 1024)
      const entries = sizes.map((size, index) => {
        const bytes = Buffer.alloc(size)
        if (place === 'journal') return { key: `k${index}`, value: tree.value(bytes) }
        tree.put(`ns/k${index}`, bytes)
        return { key: `k${index}` }
      })
      const fs = new FaultyFileSystem()
      const { answers, bytes } = read(entries, fs)
      expect(answers.map(({ status }) => status)).toEqual(['found', 'later', 'later'])
      expect(bytes.length).toBe(sizes[0])
      expect(
        fs.calls.filter(({ name, path }) => name === 'read' && path === tree.path('ns/k1')),
        'not even read',
      ).toEqual([])
      expect(fs.opened.size).toBe(0)
    },
  )

  test('one that is larger than any answer comes alone', () => {
    const large = Buffer.alloc(17 * 1024 * 1024, 'x')
    tree.put('ns/large', large)
    tree.put('ns/empty', '')
    const statuses = (...keys: string[]): string[] =>
      read(keys.map((key) => ({ key }))).answers.map(({ status }) => status)
    expect(statuses('large', 'large')).toEqual(['found', 'later'])
    expect(statuses('missing', 'empty', 'large')).toEqual(['missing', 'found', 'found'])
  })

  test('of the store’s own files, too, are put off once an answer is large', () => {
    const value = 'x'.repeat(256 * 1024)
    const keys = Array.from({ length: 66 }, (_, index) => `k${index}`)
    written(...keys.map((key) => tree.write(key, value)))
    const { answers, bytes } = read(keys.map((key) => ({ key })))
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 64 }, () => 'found'),
      ...['later', 'later'],
    ])
    expect(bytes).toHaveLength(64 * value.length)
  })

  test('lie where their answers say, also behind such as are no one’s or damaged', () => {
    const texts = Array.from({ length: 40 }, (_, index) => `${index} `.repeat(index * 60))
    written(...texts.map((text, index) => tree.write(`k${index}`, text)))
    texts.forEach((text, index) => {
      const path = `ns/k${index}`
      if (index % 4 === 1) tree.put(path, `${text}edited`)
      if (index % 4 === 3) tree.put(path, text.replaceAll(' ', '_'), AT_MS)
    })
    const { answers, bytes } = read(texts.map((_, index) => ({ key: `k${index}` })))
    answers.forEach((answer, index) => {
      if (answer.status !== 'found') return expect([answer.status, index % 4]).toEqual(['corrupt', 3])
      const found = Buffer.from(bytes.subarray(answer.start, answer.start + answer.size)).toString()
      expect(found).toBe(index % 4 === 1 ? `${texts[index]}edited` : texts[index])
    })
    expect(answers.filter(({ status }) => status === 'corrupt')).toHaveLength(10)
  })

  test('may be of several namespaces; each directory is looked at once', () => {
    const entries = ['a', 'b', 'a', 'b', 'a'].map((namespace, index) => ({ namespace, key: `k${index}` }))
    for (const { namespace, key } of entries) tree.put(`${namespace}/${key}`, `${namespace} ${key};`)
    const fs = new FaultyFileSystem()
    expect(Buffer.from(readAny(entries, fs).bytes).toString()).toBe('a k0;b k1;a k2;b k3;a k4;')
    const looks = (path: string): number =>
      fs.calls.filter((call) => call.name === 'lstat' && call.path === tree.path(path)).length
    expect([looks('a'), looks('b')]).toEqual([1, 1])
  })

  test('come from the journal where it has them, through one open segment', () => {
    tree.put('ns/k', 'in the tree')
    const entries = ['first', 'second', ''].map((text) => ({ key: 'k', value: tree.value(text) }))
    const fs = new FaultyFileSystem()
    const { answers, bytes } = read([...entries, { key: 'k' }], fs)
    expect(Buffer.from(bytes).toString()).toBe('firstsecondin the tree')
    expect(answers[1]).toEqual({ status: 'found', head: null, corruptMetadata: null, start: 5, size: 6 })
    expect(fs.calls.filter(({ name, path }) => name === 'open' && path === tree.segment)).toHaveLength(1)
    expect(fs.opened.size).toBe(0)
  })

  test('say where the journal is damaged, cut off or missing', () => {
    const whole = tree.value('whole')
    const damaged = tree.value('damaged')
    const cut = { ...tree.value('cut'), size: 100 }
    const segment = readFileSync(tree.segment)
    segment[damaged.position]! ^= 1
    writeFileSync(tree.segment, segment)
    const missing = { ...whole, segment: `${tree.segment}0` }
    const { answers } = read([whole, damaged, cut, missing].map((value) => ({ key: 'k', value })))
    expect(answers).toMatchObject([
      { status: 'found' },
      { status: 'corrupt', head: null, path: tree.segment, offset: damaged.position },
      { status: 'corrupt', head: null, path: tree.segment, offset: cut.position },
      { status: 'failed', code: 'ENOENT', path: missing.segment },
    ])
  })
})

describe('a file that is written to while it is read', () => {
  /** Calls `change` before the first so many reads of the content. */
  function changing(times: number, change: () => void): FileSystem {
    const path = tree.path('ns/k')
    let left = times
    return new FaultyFileSystem((call) => {
      if (call.name === 'read' && call.path === path && left-- > 0) change()
      return null
    })
  }

  test('is read again until it stands still', () => {
    tree.put('ns/k', 'begin', 1000)
    const { answer, text } = readOne(
      'k',
      changing(1, () => appendFileSync(tree.path('ns/k'), ' end')),
    )
    expect(text).toBe('begin end')
    expect(answer).toMatchObject({ head: { size: 9, external: true } })
  })

  test('is taken as last read when it never does, with a size that is the value’s', () => {
    tree.put('ns/k', 'x', 1000)
    const { answer, text } = readOne(
      'k',
      changing(Infinity, () => appendFileSync(tree.path('ns/k'), 'x')),
    )
    expect(answer).toMatchObject({ status: 'found', size: text?.length, head: { size: text?.length } })
  })

  test('and becomes shorter, ends where it ends', () => {
    tree.put('ns/k', 'a long text', 1000)
    const { answer, text } = readOne(
      'k',
      changing(1, () => writeFileSync(tree.path('ns/k'), 'short')),
    )
    expect(text).toBe('short')
    expect(answer).toMatchObject({ size: 5, head: { size: 5 } })
  })

  test('and is replaced, is the old or the new one as a whole (I5)', () => {
    written(tree.write('k', 'first'))
    const replace = (): void => written(tree.write('k', 'other', { revision: 9, atMs: AT_MS + 5 }))
    expect(['first', 'other']).toContain(readOne('k', changing(1, replace)).text)
    expect(statSync(tree.path('ns/k')).size).toBe(5)
  })

  test('and is replaced when its content is open, is not the old content as the new one', () => {
    written(tree.write('k', 'first'))
    const metadata = tree.path(META, 'k.json')
    let left = 1
    const fs = new FaultyFileSystem(({ name, path }) => {
      if (name === 'open' && path === metadata && left-- > 0)
        written(tree.write('k', 'other', { revision: 9, atMs: AT_MS + 5 }))
      return null
    })
    const { answer, text } = readOne('k', fs)
    expect(answer).toMatchObject({ head: { external: text === 'first' } })
  })
})
