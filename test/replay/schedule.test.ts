import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filesOf } from '../../src/replay/history-tree.js'
import { InputError } from '../../src/replay/input-error.js'
import { locate } from '../../src/replay/location.js'
import { readOutline } from '../../src/replay/outline.js'
import { Schedule, type Batch } from '../../src/replay/schedule.js'
import type { Commit } from '../../src/replay/trace.js'
import { commit, inOrder, plainTrees } from './histories.js'
import { anyHistory } from './random-history.js'

async function scheduleAll(commits: readonly Commit[]): Promise<{ batches: Batch[][]; schedule: Schedule }> {
  const schedule = new Schedule(await readOutline(inOrder(commits)))
  return { batches: commits.map((entry) => schedule.add(entry)), schedule }
}

/** `namespace/key=blob` for each write, `-namespace/key` for each deletion. */
function briefly(batches: readonly Batch[]): string[] {
  return batches.flatMap(({ namespace, operations }) =>
    operations.map(({ key, content }) =>
      content === null ? `-${namespace}/${key}` : `${namespace}/${key}=${content.blob}`,
    ),
  )
}

function seenAndCurrent(batches: readonly Batch[]): Record<string, [number | null, number | null]> {
  return Object.fromEntries(
    batches.flatMap(({ operations }) =>
      operations.map(({ key, seen, current }) => [key, [seen, current?.commit ?? null]]),
    ),
  )
}

describe('the batches of a commit', () => {
  test('are one for each top-level folder and one for the files in none', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 4, { 'x/a': 1, README: 2, 'x/b/c': 3, 'y/a': 4 }),
      commit(1, [0], 'Ann <ann@example.org>', { 'x/a': null, 'y/a': 5 }),
    ])
    expect(batches[0]?.map(({ namespace, author, bytes }) => [namespace, author, bytes])).toEqual([
      ['x', 'author-4', 20],
      ['%root', 'author-4', 10],
      ['y', 'author-4', 10],
    ])
    expect(briefly(batches[1] ?? [])).toEqual(['-x/a', 'y/a=5'])
    expect(batches[1]?.[0]?.author).toBe('Ann <ann@example.org>')
  })

  test('hold a rename as a deletion and a new file together', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 0, { 'x/a': null, 'x/b': 1 }),
    ])
    expect(batches[1]).toHaveLength(1)
    expect(briefly(batches[1] ?? [])).toEqual(['-x/a', 'x/b=1'])
  })

  test('hold both sides where a file becomes a folder, and where a folder becomes a file', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 0, { 'x/a/b': 2, 'x/a': null }),
      commit(2, [1], 0, { 'x/a': 3, 'x/a/b': null }),
    ])
    expect(briefly(batches[1] ?? []).toSorted()).toEqual(['-x/a', 'x/a/b=2'])
    expect(briefly(batches[2] ?? []).toSorted()).toEqual(['-x/a/b', 'x/a=3'])
  })

  test('remove what another branch put in the way', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1, 'x/z': 1 }),
      commit(1, [0], 1, { 'x/a': null, 'x/a/b': 2 }),
      commit(2, [0], 2, { 'x/a': 3 }),
      commit(3, [1, 2], 1, { 'x/z': 4 }),
    ])
    expect(briefly(batches[2] ?? []).toSorted()).toEqual(['-x/a/b', 'x/a=3'])
    expect(briefly(batches[3] ?? []).toSorted()).toEqual(['-x/a', 'x/a/b=2', 'x/z=4'])
  })

  test('leave out the deletion of what another branch deleted already', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1 }),
      commit(1, [0], 1, { 'x/a': null }),
      commit(2, [0], 2, { 'x/a': null }),
      commit(3, [1, 2], 1, {}),
    ])
    expect(batches.map(briefly)).toEqual([['x/a=1', 'x/b=1'], ['-x/a'], [], []])
  })
})

describe('a merge', () => {
  const branches = [
    commit(0, [], 0, { 'x/a': 1, 'x/b': 1, 'x/c': 1 }),
    commit(1, [0], 1, { 'x/a': 2 }),
    commit(2, [0], 2, { 'x/b': 3, 'x/c': null }),
  ]

  test('brings nothing where the branches did not meet', async () => {
    const { batches } = await scheduleAll([
      ...branches,
      commit(3, [1, 2], 0, { 'x/b': 3, 'x/c': null }),
      commit(4, [3], 0, { 'x/a': 5 }),
    ])
    expect(batches[3]).toEqual([])
  })

  test('brings what differs from its tree, the deletions of a side that it gave up included', async () => {
    const { batches, schedule } = await scheduleAll([
      ...branches,
      commit(3, [1, 2], 0, { 'x/b': 9, 'x/d': 7 }),
    ])
    expect(briefly(batches[3] ?? []).toSorted()).toEqual(['x/b=9', 'x/c=1', 'x/d=7'])
    expect(Array.from(filesOf(schedule.state), ([path]) => path).toSorted()).toEqual([
      'x/a',
      'x/b',
      'x/c',
      'x/d',
    ])
  })

  test('gives what it restored to its children as seen', async () => {
    const { batches } = await scheduleAll([
      ...branches,
      commit(3, [1, 2], 0, {}),
      commit(4, [3], 1, { 'x/b': 8, 'x/a': 8 }),
    ])
    expect(briefly(batches[3] ?? []).toSorted()).toEqual(['x/b=1', 'x/c=1'])
    expect(seenAndCurrent(batches[4] ?? [])).toEqual({ b: [3, 3], a: [1, 1] })
  })
})

describe('the head', () => {
  test('brings what differs from its tree, whatever was left of other branches', async () => {
    const { batches, schedule } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 1, { 'x/b': 2, 'x/a': 2 }),
      commit(2, [0], 2, { 'x/c': 3 }),
    ])
    expect(briefly(batches[2] ?? []).toSorted()).toEqual(['-x/b', 'x/a=1', 'x/c=3'])
    expect(Array.from(filesOf(schedule.state), ([path]) => path)).toEqual(['x/a', 'x/c'])
  })
})

describe('what an author had seen', () => {
  test('is what the parent had, not what other branches made of it since', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1 }),
      commit(1, [0], 1, { 'x/a': 2, 'x/new': 2 }),
      commit(2, [0], 2, { 'x/a': 3, 'x/b': 3, 'x/new': 3 }),
      commit(3, [2, 1], 2, {}),
    ])
    expect(seenAndCurrent(batches[2] ?? [])).toEqual({ a: [0, 1], b: [0, 0], new: [null, 1] })
  })

  test('is for a merge what any of its parents had', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1, 'x/b': 1 }),
      commit(1, [0], 1, { 'x/a': 2 }),
      commit(2, [0], 2, { 'x/a': 3 }),
      commit(3, [0], 3, { 'x/b': 4 }),
      commit(4, [1, 2], 1, { 'x/a': 5, 'x/b': 5 }),
      commit(5, [4, 3], 1, {}),
    ])
    expect(seenAndCurrent(batches[4] ?? [])).toEqual({ a: [2, 2], b: [0, 3] })
    expect(seenAndCurrent(batches[5] ?? [])).toEqual({})
  })

  test('is the latest of the parents when the state has none of their versions', async () => {
    const { batches } = await scheduleAll([
      commit(0, [], 0, { 'x/a': 1 }),
      commit(1, [0], 1, { 'x/a': 2 }),
      commit(2, [0], 2, { 'x/a': 3 }),
      commit(3, [0], 3, { 'x/a': 4 }),
      commit(4, [1, 2], 1, { 'x/a': 5 }),
      commit(5, [4, 3], 1, {}),
    ])
    expect(seenAndCurrent(batches[4] ?? [])).toEqual({ a: [2, 3] })
  })
})

describe('a long history', () => {
  test('holds the trees of open branches only (I9)', async () => {
    const commits = [commit(0, [], 0, { 'x/a': 0 })]
    for (let id = 1; id < 3000; id += 3) {
      const tip = id - 1
      commits.push(
        commit(id, [tip], 1, { 'x/a': id }),
        commit(id + 1, [tip], 2, { 'x/b': id }),
        commit(id + 2, [id, id + 1], 1, { 'x/b': id }),
      )
    }
    const schedule = new Schedule(await readOutline(inOrder(commits)))
    const held = commits.map((entry) => {
      schedule.add(entry)
      return schedule.treesHeld
    })
    expect(Math.max(...held)).toBe(2)
    expect(held.at(-1)).toBe(0)
  })
})

describe('a history that can not be', () => {
  test.each([
    [
      'deletes what is not there',
      [commit(0, [], 0, { a: 1 }), commit(1, [0], 0, { b: null })],
      'deletes "b"',
    ],
    ['has a file below a file', [commit(0, [], 0, { a: 1, 'a/b': 2 })], 'a file and a folder'],
  ])('is refused when it %s', async (_, commits, message) => {
    await expect(scheduleAll(commits)).rejects.toThrow(InputError)
    await expect(scheduleAll(commits)).rejects.toThrow(message)
  })
})

describe('names that are too long for the store', () => {
  test('are left out, wherever they occur, and named', async () => {
    const long = `x/${'n'.repeat(251)}`
    const { batches, schedule } = await scheduleAll([
      commit(0, [], 0, { [long]: 1, 'x/a': 1 }),
      commit(1, [0], 0, { [long]: null, 'x/a': 2 }),
    ])
    expect(batches.map(briefly)).toEqual([['x/a=1'], ['x/a=2']])
    expect([...schedule.skipped]).toEqual([long])
  })
})

describe('any history', () => {
  /** Applies batches as a store would, which refuses a key that is file and folder. */
  function apply(files: Map<string, unknown>, batches: readonly Batch[]): void {
    for (const { namespace, operations } of batches) {
      for (const { key, content } of operations) {
        const name = `${namespace}/${key}`
        if (content === null) expect(files.delete(name)).toBe(true)
        else files.set(name, content.blob)
      }
    }
    for (const name of files.keys()) {
      for (let end = name.indexOf('/'); end !== -1; end = name.indexOf('/', end + 1)) {
        expect(files.has(name.slice(0, end))).toBe(false)
      }
    }
  }

  function inStore(tree: ReadonlyMap<string, unknown>): Map<string, unknown> {
    return new Map(
      Array.from(tree, ([path, blob]) => {
        const { namespace, key } = locate(path) ?? { namespace: '', key: '' }
        return [`${namespace}/${key}`, blob]
      }),
    )
  }

  test('is at each merge and at its head what the commit has, and never a path twice in a batch', async () => {
    await fc.assert(
      fc.asyncProperty(anyHistory, async (commits) => {
        const trees = plainTrees(commits)
        const { batches } = await scheduleAll(commits)
        const files = new Map<string, unknown>()
        commits.forEach(({ id, parents }, index) => {
          apply(files, batches[index] ?? [])
          const isExact = parents.length > 1 || index === commits.length - 1
          if (isExact) expect(files).toEqual(inStore(trees.get(id) ?? new Map()))
        })
        for (const batch of batches.flat()) {
          const keys = batch.operations.map(({ key }) => key)
          expect(new Set(keys).size).toBe(keys.length)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('has an author see exactly what the parents had', async () => {
    await fc.assert(
      fc.asyncProperty(anyHistory, async (commits) => {
        const trees = Array.from(plainTrees(commits).values(), inStore)
        const { batches } = await scheduleAll(commits)
        const written = new Map<string, unknown>()
        for (const { commit: index, namespace, operations } of batches.flat()) {
          const parents = (commits[index]?.parents ?? []) as number[]
          for (const { key, content, seen } of operations) {
            const name = `${namespace}/${key}`
            const had = parents.map((parent) => trees[parent]?.get(name) ?? null)
            const wanted = parents.length === 0 ? [null] : had
            expect(wanted).toContain(seen === null ? null : written.get(`${seen} ${name}`))
            if (content !== null) written.set(`${index} ${name}`, content.blob)
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})
