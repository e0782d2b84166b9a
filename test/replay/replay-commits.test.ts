import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryBackend, openStore, type Backend, type Store } from '../../src/index.js'
import { localAgents } from '../../src/replay/agents.js'
import { openContents } from '../../src/replay/contents.js'
import { generateContent } from '../../src/replay/generated-content.js'
import { filesOf } from '../../src/replay/history-tree.js'
import { locate, PROGRESS_KEY } from '../../src/replay/location.js'
import type { Acknowledgement, Audit, Overwrite } from '../../src/replay/messages.js'
import { readOutline } from '../../src/replay/outline.js'
import { readAllProgress, replayCommits } from '../../src/replay/replay-commits.js'
import { Schedule } from '../../src/replay/schedule.js'
import type { Commit } from '../../src/replay/trace.js'
import { commit, inOrder } from './histories.js'
import { anyHistory } from './random-history.js'

interface Options {
  readonly inFlight?: number
  /** Stop after so many commits, as if the process had been killed there. */
  readonly stopAfter?: number
  readonly contents?: ReturnType<typeof openContents>
  readonly onAudited?: (audit: Audit) => void
}

async function replayInto(
  store: Store,
  commits: readonly Commit[],
  options: Options = {},
): Promise<Acknowledgement[]> {
  const acknowledged: Acknowledgement[] = []
  await replayCommits(store, {
    outline: await readOutline(inOrder(commits)),
    commits: inOrder(commits.slice(0, options.stopAfter)),
    contents: options.contents ?? openContents(null),
    agents: localAgents,
    inFlight: options.inFlight ?? 256,
    durable: await readAllProgress(store),
    onAcknowledged: (acknowledgement) => acknowledged.push(acknowledgement),
    onAudited: options.onAudited,
  })
  return acknowledged
}

async function withStore<T>(
  work: (store: Store) => Promise<T>,
  backend: Backend = memoryBackend(),
): Promise<T> {
  const store = await openStore({ backend })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

async function contentsOf(store: Store): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const namespace of store.namespaces()) {
    const session = await store.resume(namespace)
    for await (const { key, value } of session.entries()) {
      if (key !== PROGRESS_KEY) found.set(`${namespace}/${key}`, Buffer.from(value).toString('hex'))
    }
  }
  return found
}

async function expectedContents(commits: readonly Commit[]): Promise<Map<string, string>> {
  const schedule = new Schedule(await readOutline(inOrder(commits)))
  for (const entry of commits) schedule.add(entry)
  return new Map(
    Array.from(filesOf(schedule.state), ([path, { content }]) => {
      const { namespace, key } = locate(path) ?? { namespace: '', key: '' }
      return [`${namespace}/${key}`, Buffer.from(generateContent(content)).toString('hex')]
    }),
  )
}

function overwritesOf(acknowledged: readonly Acknowledgement[]): Overwrite[] {
  return acknowledged.flatMap(({ overwrites }) => overwrites)
}

describe('replaying', () => {
  test('reports an edit of a version that a concurrent branch had replaced, and no other edit', async () => {
    const commits = [
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1 }),
      commit(1, [0], 1, { 'x/a': 2 }),
      commit(2, [0], 2, { 'x/a': 3, 'x/b': 3 }),
      commit(3, [1, 2], 1, { 'x/a': 4, 'x/b': 3 }),
      commit(4, [3], 2, { 'x/a': 5, 'x/b': 5 }),
    ]
    const acknowledged = await withStore((store) => replayInto(store, commits))
    expect(overwritesOf(acknowledged)).toEqual([
      { namespace: 'x', key: 'a', by: 'author-2', over: 'author-1' },
    ])
    expect(acknowledged.flatMap(({ wrongConflicts }) => wrongConflicts)).toEqual([])
  })

  test('reports a file that two branches added, and one that was changed here and deleted there', async () => {
    const commits = [
      commit(0, [], 0, { 'x/old': 1, 'x/z': 1 }),
      commit(1, [0], 1, { 'x/new': 2, 'x/old': null }),
      commit(2, [0], 2, { 'x/new': 3, 'x/old': 3 }),
      commit(3, [1, 2], 1, { 'x/new': 3, 'x/old': 3 }),
    ]
    const acknowledged = await withStore((store) => replayInto(store, commits))
    const pairs = overwritesOf(acknowledged).map(({ key, by, over }) => [key, by, over])
    expect(pairs).toContainEqual(['new', 'author-2', 'author-1'])
    expect(pairs.filter(([key]) => key === 'old').map(([, by]) => by)).toEqual(['author-2'])
    expect(pairs).toHaveLength(2)
  })

  test('does not report an author who comes back to his own change', async () => {
    const commits = [
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 1, { 'x/a': 2 }),
      commit(2, [0], 1, { 'x/a': 3 }),
      commit(3, [1, 2], 1, { 'x/a': 3 }),
    ]
    expect(overwritesOf(await withStore((store) => replayInto(store, commits)))).toEqual([])
  })

  test('keeps the order of a namespace with many commits under way, also where some contents come late', async () => {
    const commits = Array.from({ length: 60 }, (_, id) =>
      commit(id, id === 0 ? [] : [id - 1], id % 3, { [`x/${id % 5}`]: id, [`y/${id}`]: id }),
    )
    const made = openContents(null)
    const contents = {
      read: async (content: Parameters<typeof made.read>[0]) => {
        for (let turn = Number(content.blob) % 7; turn > 0; turn--) await new Promise(setImmediate)
        return made.read(content)
      },
      close: () => {},
    }
    const acknowledged = await withStore((store) => replayInto(store, commits, { contents }))
    for (const namespace of ['x', 'y']) {
      const own = acknowledged.filter((entry) => entry.namespace === namespace)
      expect(own.map((entry) => entry.commit)).toEqual(commits.map(({ id }) => id))
      const revisions = own.map(({ revision }) => revision)
      expect(revisions).toEqual(revisions.toSorted((one, other) => one - other))
    }
  })

  test('stops at the first failure and claims nothing behind it', async () => {
    const commits = [
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 0, { 'x/b': 2 }),
      commit(2, [1], 0, { 'x/c': 3 }),
    ]
    const made = openContents(null)
    const contents = {
      read: async (content: Parameters<typeof made.read>[0]) => {
        if (content.blob === 2) throw new Error('no such blob')
        return made.read(content)
      },
      close: () => {},
    }
    await withStore(async (store) => {
      await expect(replayInto(store, commits, { contents })).rejects.toThrow('no such blob')
      const session = await store.resume('x')
      expect(await session.list()).toEqual([PROGRESS_KEY, 'a'])
      expect(await readAllProgress(store)).toMatchObject([{ namespace: 'x', commit: 0 }])
    })
  })
})

describe('going on after a kill', () => {
  test('replays what is not durable, in each namespace from where it stood', async () => {
    const commits = Array.from({ length: 10 }, (_, id) =>
      commit(id, id === 0 ? [] : [id - 1], 0, {
        [`x/${id}`]: id,
        ...(id % 2 === 0 ? { [`y/${id}`]: id } : {}),
      }),
    )
    const backend = memoryBackend()
    const first = await withStore((store) => replayInto(store, commits, { stopAfter: 5 }), backend)
    const second = await withStore((store) => replayInto(store, commits), backend)
    expect(first).toHaveLength(8)
    expect(second).toHaveLength(7)
    expect(second.map(({ commit: index }) => index).toSorted((one, other) => one - other)).toEqual([
      5, 6, 6, 7, 8, 8, 9,
    ])
    expect(await withStore(contentsOf, backend)).toEqual(await expectedContents(commits))
  })

  test('knows conflicts with what earlier processes wrote, and which authors had seen it', async () => {
    const commits = [
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1 }),
      commit(1, [0], 1, { 'x/a': 2, 'x/b': 2 }),
      commit(2, [0], 2, { 'x/a': 3 }),
      commit(3, [1], 2, { 'x/b': 3 }),
      commit(4, [3, 2], 2, {}),
    ]
    const backend = memoryBackend()
    await withStore((store) => replayInto(store, commits, { stopAfter: 2 }), backend)
    const acknowledged = await withStore((store) => replayInto(store, commits), backend)
    expect(overwritesOf(acknowledged)).toEqual([
      { namespace: 'x', key: 'a', by: 'author-2', over: 'author-1' },
    ])
    expect(acknowledged.flatMap(({ wrongConflicts }) => wrongConflicts)).toEqual([])
  })

  test('begins with comparing what is there with what the history has at that point', async () => {
    const commits = [
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1, 'y/a': 1, c: 1 }),
      commit(1, [0], 0, { 'x/a': 2, 'x/b': null, 'x/d': 4 }),
      commit(2, [1], 0, { 'x/a': 3, 'y/a': 5, c: null }),
    ]
    const backend = memoryBackend()
    await withStore((store) => replayInto(store, commits, { stopAfter: 2 }), backend)
    await withStore(async (store) => {
      const session = await store.resume('x')
      await session.write('a', 'damaged')
      await session.write('e', 'invented')
      await session.delete('d')
    }, backend)
    const audits: Audit[] = []
    await withStore(
      (store) => replayInto(store, commits, { onAudited: (audit) => audits.push(audit) }),
      backend,
    )
    const differences = ['a has another value', 'e should not be there', 'd is missing']
    expect(audits.toSorted((one, other) => one.namespace.localeCompare(other.namespace))).toEqual([
      { namespace: '%root', commit: 0, files: 1, differences: [] },
      { namespace: 'x', commit: 1, files: 2, differences },
      { namespace: 'y', commit: 0, files: 1, differences: [] },
    ])
  })

  test('with nothing left to do does nothing', async () => {
    const commits = [commit(0, [], 0, { 'x/a': 1 })]
    const backend = memoryBackend()
    await withStore((store) => replayInto(store, commits), backend)
    expect(await withStore((store) => replayInto(store, commits), backend)).toEqual([])
  })
})

test('any history, stopped anywhere, ends as its head, with the conflicts that it has', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyHistory,
      fc.array(fc.nat(25), { maxLength: 3 }),
      fc.integer({ min: 1, max: 8 }),
      async (commits, stops, inFlight) => {
        const backend = memoryBackend()
        const acknowledged: Acknowledgement[] = []
        const onAudited = ({ differences }: Audit): void => expect(differences).toEqual([])
        for (const stopAfter of [...stops, commits.length]) {
          acknowledged.push(
            ...(await withStore(
              (store) => replayInto(store, commits, { stopAfter, inFlight, onAudited }),
              backend,
            )),
          )
        }
        expect(await withStore(contentsOf, backend)).toEqual(await expectedContents(commits))
        expect(acknowledged.flatMap(({ wrongConflicts }) => wrongConflicts)).toEqual([])
        expect(new Set(acknowledged.map((entry) => `${entry.namespace} ${entry.commit}`)).size).toBe(
          acknowledged.length,
        )
      },
    ),
    { numRuns: 150 },
  )
})
