import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryBackend, openStore } from '../../src/index.js'
import { localAgents } from '../../src/replay/agents.js'
import { openContents } from '../../src/replay/contents.js'
import { writeGitTrace } from '../../src/replay/git-history.js'
import { GitObjects } from '../../src/replay/git-objects.js'
import { InputError } from '../../src/replay/input-error.js'
import type { Overwrite } from '../../src/replay/messages.js'
import { readOutline } from '../../src/replay/outline.js'
import { replayCommits } from '../../src/replay/replay-commits.js'
import { readTrace, type Commit } from '../../src/replay/trace.js'
import { gitRepository, type GitRepository } from './git-repository.js'
import { temporaryFolder } from './temporary-folder.js'

interface History {
  readonly commits: readonly Commit[]
  readonly skipped: readonly string[]
  readonly trace: string
}

async function readHistory(repository: string, limit = Infinity): Promise<History> {
  const trace = join(await temporaryFolder(), 'history.ndjson')
  const { skipped } = await writeGitTrace(repository, trace, limit)
  const commits: Commit[] = []
  for await (const commit of readTrace(trace)) commits.push(commit)
  return { commits, skipped: [...skipped], trace }
}

/** `path kind size`, or `-path`. */
function briefly({ changes }: Commit): string[] {
  return changes
    .map(({ path, content }) => (content === null ? `-${path}` : `${path} ${content.kind} ${content.size}`))
    .toSorted()
}

/** One file changed on two branches, and a merge. */
async function branchedRepository(): Promise<{ git: GitRepository; ids: readonly string[] }> {
  const git = await gitRepository()
  const [one, two, three, four] = await Promise.all([
    git.blob('1'),
    git.blob('22'),
    git.blob('333'),
    git.blob('4444'),
  ])
  const base = await git.commit({
    parents: [],
    entries: [
      { path: 'x/a', id: one },
      { path: 'x/b', id: one },
    ],
  })
  const ann = await git.commit({ parents: [base], author: 'Ann', entries: [{ path: 'x/a', id: two }] })
  const bob = await git.commit({
    parents: [base],
    author: 'Bob',
    entries: [
      { path: 'x/a', id: three },
      { path: 'x/b', id: null },
    ],
  })
  const merge = await git.commit({
    parents: [ann, bob],
    author: 'Ann',
    entries: [
      { path: 'x/a', id: four },
      { path: 'x/b', id: null },
    ],
  })
  await git.setHead(merge)
  return { git, ids: [base, ann, bob, merge] }
}

describe('the history of a git repository', () => {
  test('is all ancestors of HEAD, parents first, each against its first parent', async () => {
    const { git, ids } = await branchedRepository()
    const [base, ann, bob, merge] = ids
    const { commits } = await readHistory(git.path)
    expect(new Set(commits.map(({ id }) => id))).toEqual(new Set(ids))
    expect(commits[0]?.id).toBe(base)
    expect(commits[3]).toMatchObject({ id: merge, parents: [ann, bob], author: 'Ann <ann@example.org>' })
    expect(briefly(commits[0]!)).toEqual(['x/a file 1', 'x/b file 1'])
    expect(briefly(commits.find(({ id }) => id === bob)!)).toEqual(['-x/b', 'x/a file 3'])
    expect(briefly(commits[3]!)).toEqual(['-x/b', 'x/a file 4'])
    await expect(readOutline(readTrace((await readHistory(git.path)).trace))).resolves.toMatchObject({
      commits: 4,
      merges: 1,
      authors: 2,
    })
  })

  test('has executables, links, submodules, renames, empty files and commits, and odd names', async () => {
    const git = await gitRepository()
    const [text, empty] = await Promise.all([git.blob('text'), git.blob('')])
    const submodule = '1234567890'.repeat(4)
    const first = await git.commit({
      parents: [],
      entries: [
        { path: 'run', id: text, mode: '100755' },
        { path: 'link', id: text, mode: '120000' },
        { path: 'sub', id: submodule, mode: '160000' },
        { path: 'new\nline/"quoted" :name', id: empty },
        { path: 'ünï/日本', id: text },
      ],
    })
    const second = await git.commit({
      parents: [first],
      entries: [
        { path: 'run', id: null },
        { path: 'ran/it', id: text, mode: '100755' },
        { path: 'link', id: text },
        { path: 'sub', id: null },
        { path: 'sub/file', id: text },
      ],
    })
    const third = await git.commit({ parents: [second], entries: [] })
    await git.setHead(third)
    const { commits, skipped } = await readHistory(git.path)
    expect(commits.map(briefly)).toEqual([
      [
        'link symlink 4',
        'new\nline/"quoted" :name file 0',
        'run executable 4',
        'sub submodule 40',
        'ünï/日本 file 4',
      ],
      ['-run', '-sub', 'link file 4', 'ran/it executable 4', 'sub/file file 4'],
      [],
    ])
    expect(skipped).toEqual([])
    const contents = openContents(git.path)
    const changes = new Map(commits[0]?.changes.map(({ path, content }) => [path, content]))
    const read = async (path: string): Promise<string> => {
      return Buffer.from(await contents.read(changes.get(path)!)).toString()
    }
    expect(await Promise.all(['run', 'link', 'sub', 'new\nline/"quoted" :name'].map(read))).toEqual([
      'text',
      'text',
      submodule,
      '',
    ])
    contents.close()
  })

  test('leaves out paths that are not UTF-8 and names them', async () => {
    const git = await gitRepository()
    const id = await git.blob('text')
    const path = Buffer.from([0x78, 0x2f, 0xff, 0x61])
    const first = await git.commit({
      parents: [],
      entries: [
        { path, id },
        { path: 'x/a', id },
      ],
    })
    const second = await git.commit({ parents: [first], entries: [{ path, id: null }] })
    await git.setHead(second)
    const { commits, skipped } = await readHistory(git.path)
    expect(commits.map(briefly)).toEqual([['x/a file 4'], []])
    expect(skipped).toEqual(['x/\ufffda'])
  })

  test('can be cut off after so many commits', async () => {
    const { git, ids } = await branchedRepository()
    const { commits } = await readHistory(git.path, 2)
    expect(commits).toHaveLength(2)
    expect(commits[0]?.id).toBe(ids[0])
  })

  test('of many commits is read to its end', async () => {
    const git = await gitRepository()
    const id = await git.blob('x')
    let head = await git.commit({
      parents: [],
      entries: Array.from({ length: 3000 }, (_, n) => ({ path: `d/${n}`, id })),
    })
    for (let count = 0; count < 30; count++) {
      head = await git.commit({ parents: [head], entries: [{ path: `e/${count}`, id }] })
    }
    await git.setHead(head)
    const { commits } = await readHistory(git.path)
    expect(commits.map(({ changes }) => changes.length)).toEqual([
      3000,
      ...Array.from({ length: 30 }, () => 1),
    ])
  })

  test('is refused where there is none', async () => {
    const folder = await temporaryFolder()
    await expect(readHistory(folder)).rejects.toThrow(InputError)
    await expect(readHistory(folder)).rejects.toThrow('is not a git repository with a commit')
    await expect(readHistory((await gitRepository()).path)).rejects.toThrow(
      'is not a git repository with a commit',
    )
    await expect(readHistory(join(folder, 'none'))).rejects.toThrow(InputError)
  })

  test('is found from a folder inside the repository', async () => {
    const { git } = await branchedRepository()
    await mkdir(join(git.path, 'objects/deeper'))
    expect((await readHistory(join(git.path, 'objects/deeper'))).commits).toHaveLength(4)
  })
})

test('concurrent edits of two branches are the overwrites that the replay reports', async () => {
  const { git, ids } = await branchedRepository()
  const { trace, commits } = await readHistory(git.path)
  const store = await openStore({ backend: memoryBackend() })
  const contents = openContents(git.path)
  const overwrites: Overwrite[] = []
  await replayCommits(store, {
    outline: await readOutline(readTrace(trace)),
    commits: readTrace(trace),
    contents,
    agents: localAgents,
    inFlight: 10,
    durable: [],
    onAcknowledged: (batch) => overwrites.push(...batch.overwrites),
  })
  const session = await store.resume('x')
  expect([await session.read('a'), await session.read('b')]).toEqual(['4444', null])
  contents.close()
  await store.close()
  const annFirst = commits.findIndex(({ id }) => id === ids[1]) === 1
  const [ann, bob] = ['Ann <ann@example.org>', 'Bob <bob@example.org>']
  const [by, over] = annFirst ? [bob, ann] : [ann, bob]
  expect(overwrites).toEqual([{ namespace: 'x', key: 'a', by, over }])
})

describe('git objects', () => {
  test('arrive whole and in order, larger ones than a pipe holds too', async () => {
    const git = await gitRepository()
    const contents = [0, 1, 70_000, 3, 500_000, 0, 12].map((size, index) => Buffer.alloc(size, index + 10))
    const ids = await Promise.all(contents.map((content) => git.blob(content)))
    const objects = new GitObjects(git.path, 'contents')
    const sizes = new GitObjects(git.path, 'sizes')
    const found = await Promise.all(ids.map((id) => objects.get(id)))
    expect(found.map(({ bytes }) => Buffer.from(bytes).equals(contents.shift()!))).toEqual(
      ids.map(() => true),
    )
    expect(await Promise.all(ids.map(async (id) => (await sizes.get(id)).size))).toEqual(
      found.map(({ size }) => size),
    )
    objects.close()
    sizes.close()
  })

  test('that are missing are named, and the next ones arrive', async () => {
    const git = await gitRepository()
    const id = await git.blob('here')
    const missing = '1'.repeat(40)
    const objects = new GitObjects(git.path, 'contents')
    const [first, second] = await Promise.allSettled([objects.get(missing), objects.get(id)])
    expect(first).toMatchObject({
      status: 'rejected',
      reason: { message: `git object ${missing} is missing` },
    })
    expect(second).toMatchObject({ status: 'fulfilled', value: { size: 4 } })
    objects.close()
  })

  test('that were asked for get an answer when git ends or is closed (I11)', async () => {
    const objects = new GitObjects(await temporaryFolder(), 'contents')
    await expect(objects.get('1'.repeat(40))).rejects.toThrow(/not a git repository/)
    await expect(objects.get('1'.repeat(40))).rejects.toThrow(/not a git repository/)
    const git = await gitRepository()
    const closed = new GitObjects(git.path, 'contents')
    const waiting = closed.get(await git.blob('x'))
    closed.close()
    await expect(waiting).rejects.toThrow('closed')
    await expect(closed.get('1'.repeat(40))).rejects.toThrow('closed')
  })
})

test('reading a repository ends when it is aborted, with the reason', async () => {
  const { git } = await branchedRepository()
  const abort = new AbortController()
  const trace = join(await temporaryFolder(), 'history.ndjson')
  const ended = writeGitTrace(git.path, trace, Infinity, abort.signal)
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(ended).rejects.toBe(reason)
})
