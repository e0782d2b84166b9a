import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/replay/input-error.js'
import { readOutline } from '../../src/replay/outline.js'
import { formatCommit, parseCommit, readTrace, type Commit } from '../../src/replay/trace.js'
import { commit, inOrder } from './histories.js'
import { temporaryFolder } from './temporary-folder.js'

const COMMITS = [
  commit(0, [], 0, { 'a/ü': 1, b: 2 }, 'symlink'),
  commit(1, [0], 1, { b: null }),
  commit(2, [0, 1], 0, {}),
]
const TEXT = COMMITS.map((entry) => `${formatCommit(entry)}\n`).join('')

async function readAll(
  content: string | Uint8Array,
  name = 'trace.ndjson',
  limit?: number,
): Promise<Commit[]> {
  const file = join(await temporaryFolder(), name)
  await writeFile(file, content)
  const commits: Commit[] = []
  for await (const entry of readTrace(file, limit)) commits.push(entry)
  return commits
}

describe('a trace', () => {
  test('is read as it was written, also compressed and without a last line end', async () => {
    expect(await readAll(TEXT)).toEqual(COMMITS)
    expect(await readAll(gzipSync(TEXT), 'trace.ndjson.gz')).toEqual(COMMITS)
    expect(await readAll(TEXT.trimEnd())).toEqual(COMMITS)
  })

  test('may be longer than what is read at once, and characters may lie across the border', async () => {
    const many = Array.from({ length: 3000 }, (_, id) =>
      commit(id, [], 0, { [`${'ü'.repeat(40)}${id}`]: id }),
    )
    expect(await readAll(many.map((entry) => `${formatCommit(entry)}\n`).join(''))).toEqual(many)
  })

  test('is read up to a limit, and not further', async () => {
    expect(await readAll(`${TEXT}no JSON\n`, 'trace.ndjson', 2)).toEqual(COMMITS.slice(0, 2))
  })

  test('that is damaged is refused, naming the file and the line', async () => {
    await expect(readAll(`${TEXT}{"id":3`)).rejects.toThrow(/trace\.ndjson, line 4: not a JSON object/)
    await expect(readAll(gzipSync(TEXT).subarray(0, -9), 'a.ndjson.gz')).rejects.toThrow(InputError)
    await expect(readAll(TEXT, 'a.ndjson.gz')).rejects.toThrow(/can't be read as a trace/)
    await expect(readAll(Buffer.from([0x7b, 0xff, 0x7d]))).rejects.toThrow(InputError)
  })

  test('that is not there is refused', async () => {
    const reading = readTrace(join(await temporaryFolder(), 'none.ndjson')).next()
    await expect(reading).rejects.toThrow(/none\.ndjson can't be read as a trace: ENOENT/)
  })
})

describe('a line', () => {
  const base = { id: 1, parents: [0], author: 2, changes: [] }
  const file = { path: 'a', kind: 'file', blob: 1, size: 1 }

  test.each([
    ['no object', '[1]', 'not a JSON object'],
    ['a negative id', { ...base, id: -1 }, '"id"'],
    ['an empty id', { ...base, id: '' }, '"id"'],
    ['no author', { ...base, author: null }, '"author"'],
    ['parents that are no list', { ...base, parents: 0 }, '"parents"'],
    ['changes that are no list', { ...base, changes: {} }, '"changes"'],
    ['a change without a path', { ...base, changes: [{ blob: 1 }] }, '"path"'],
    ['a change that is no object', { ...base, changes: [null] }, 'must be an object'],
    ['a path out of the tree', { ...base, changes: [{ path: '../a' }] }, 'not a path inside a tree'],
    ['an absolute path', { ...base, changes: [{ path: '/a' }] }, 'not a path inside a tree'],
    ['an empty component', { ...base, changes: [{ path: 'a//b' }] }, 'not a path inside a tree'],
    ['a path with NUL', { ...base, changes: [{ path: 'a\0' }] }, 'not a path inside a tree'],
    ['half a character in a path', { ...base, changes: [{ path: 'a\ud800' }] }, 'not a path inside a tree'],
    ['a kind without a blob', { ...base, changes: [{ path: 'a', kind: 'file' }] }, '"blob"'],
    ['an unknown kind', { ...base, changes: [{ ...file, kind: 'device' }] }, '"kind"'],
    ['a size that is no count', { ...base, changes: [{ ...file, size: 1.5 }] }, '"size"'],
    ['a path twice', { ...base, changes: [file, { path: 'a' }] }, 'changed twice'],
  ])('with %s is refused', (_, line, message) => {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    expect(() => parseCommit(text, 'here')).toThrow(InputError)
    expect(() => parseCommit(text, 'here')).toThrow(message)
  })

  test('keeps characters outside the basic plane', () => {
    const line = JSON.stringify({ ...base, changes: [{ path: '😀/a' }] })
    expect(parseCommit(line, 'here').changes).toEqual([{ path: '😀/a', content: null }])
  })
})

describe('the outline of a history', () => {
  test('counts commits, merges, authors and children', async () => {
    const outline = await readOutline(inOrder(COMMITS))
    expect(outline).toMatchObject({ commits: 3, merges: 1, authors: 2 })
    expect(outline.children).toEqual(
      new Map([
        [0, 2],
        [1, 1],
        [2, 0],
      ]),
    )
  })

  test.each([
    ['has a commit twice', [commit(0, [], 0, {}), commit(0, [], 0, {})], 'occurs twice'],
    ['has a parent after its child', [commit(0, [1], 0, {}), commit(1, [], 0, {})], 'before its parent 1'],
    ['is empty', [], 'no commits'],
  ])('is refused when the history %s', async (_, commits, message) => {
    await expect(readOutline(inOrder(commits))).rejects.toThrow(InputError)
    await expect(readOutline(inOrder(commits))).rejects.toThrow(message)
  })
})
