/** Every call of a task fails once, alone and with everything after it; what must hold whatever it was is checked. */
import { readdirSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { MaterializeAnswer, MaterializeTask } from '../../../src/backend/file/tasks.js'
import { materialize } from '../../../src/backend/file/tree-writer.js'
import { FaultyFileSystem, unsyncedFileSystem, type MadeCall } from './faulty-file-system.js'
import { known, TreeFixture } from './tree-fixture.js'

/** Behind the time at which the fixture lets a namespace be removed. */
const AFTER_REMOVAL_MS = Date.now() + 7_200_000

const VALUES = {
  replaced: ['old', 'new'],
  'a/new': [null, 'x'.repeat(300_000)],
  'gone/deep/k': ['deleted', null],
  'was-file': ['file', null],
  'was-file/k': [null, 'below'],
  clash: ['0', '1'],
  'clash.json/k': [null, '2'],
  edited: ['edited by hand', 'after'],
  bystander: ['stays', 'stays'],
} as const
type Key = keyof typeof VALUES

/** A tree before the task, and the task: it replaces, makes, deletes, prunes, preserves, and needs a second place. */
function scenario(change: MaterializeTask['namespaceChange']): { tree: TreeFixture; task: MaterializeTask } {
  const tree = new TreeFixture({ inMemory: true })
  const before = (['replaced', 'gone/deep/k', 'was-file', 'clash', 'bystander'] as const).map((key) =>
    tree.write(key, VALUES[key][0], { revision: 3 }),
  )
  expect(materialize(unsyncedFileSystem, tree.task(before)).failures).toEqual([])
  tree.put('ns/edited', VALUES.edited[0])
  // After the removal, if there is one.
  tree.put('ns/by-hand', 'by hand', AFTER_REMOVAL_MS)
  const operations = [
    tree.write('replaced', VALUES.replaced[1]),
    tree.write('a/new', VALUES['a/new'][1]),
    tree.delete('gone/deep/k'),
    tree.delete('was-file'),
    tree.write('was-file/k', VALUES['was-file/k'][1]),
    tree.write('clash', VALUES.clash[1]),
    tree.write('clash.json/k', VALUES['clash.json/k'][1]),
    tree.write('edited', VALUES.edited[1], { known: [known('after')] }),
  ]
  return { tree, task: tree.task(operations, change) }
}

function withScenario(
  change: MaterializeTask['namespaceChange'],
  use: (tree: TreeFixture, task: MaterializeTask) => void,
): void {
  const { tree, task } = scenario(change)
  try {
    use(tree, task)
  } finally {
    tree.remove()
  }
}

function textOf(tree: TreeFixture, key: Key): string | null {
  return tree.contents().includes(`ns/${key}`) ? tree.text(`ns/${key}`) : null
}

/** What was moved out of the way; each has its note. */
function preserved(tree: TreeFixture): (string | null)[] {
  const directory = '.agent_state/preserved'
  const names = readdirSync(tree.path(directory)).filter((name) => !name.endsWith('.json'))
  for (const name of names) expect(tree.text(`${directory}/${name}.json`)).toContain('"namespace": "ns"')
  return names.map((name) => tree.text(`${directory}/${name}`))
}

/** Calls on directories may serve several operations, so several may fail with them. */
function isShared({ name, path }: MadeCall): boolean {
  if (name === 'removeDirectory' || path.endsWith('.agent_state_meta')) return true
  // Not made yet.
  if (path.endsWith('.agent_state/preserved')) return true
  return unsyncedFileSystem.lstat(path)?.kind === 'directory'
}

function expectWhole(tree: TreeFixture, key: Key, removed: boolean): void {
  const [before, after] = VALUES[key]
  const found = textOf(tree, key)
  const allowed: (string | null)[] = [before, after]
  // A hand edit leaves its path before the new content takes it; a removed namespace has nothing left.
  if (removed || key === 'edited') allowed.push(null)
  if (!allowed.includes(found)) throw new Error(`partial content at ${key}: ${String(found).slice(0, 100)}`)
}

describe.each([null, 'recreate'] as const)('a task (change of the namespace: %s)', (change) => {
  let calls: readonly MadeCall[]
  let complete: Record<string, string>
  const removed = change === 'recreate'

  beforeAll(() => {
    withScenario(change, (tree, task) => {
      const fs = new FaultyFileSystem(() => null, unsyncedFileSystem)
      expect(materialize(fs, task).failures).toEqual([])
      calls = fs.calls
      complete = tree.snapshot()
    })
  })

  function expectDone(tree: TreeFixture, answer: MaterializeAnswer, task: MaterializeTask): void {
    const failed = new Set(answer.failures.map(({ index }) => index))
    task.operations.forEach((operation, index) => {
      const key = operation.key as Key
      if (failed.has(index)) expectWhole(tree, key, removed)
      else expect(textOf(tree, key), key).toBe(VALUES[key][1])
    })
    if (!removed) expect(textOf(tree, 'bystander')).toBe('stays')
  }

  function expectRepaired(tree: TreeFixture, task: MaterializeTask): void {
    expect(materialize(unsyncedFileSystem, task).failures).toEqual([])
    expect(tree.snapshot()).toEqual(complete)
    expect(preserved(tree)).toEqual([removed ? 'by hand' : VALUES.edited[0]])
  }

  test('survives the failure of any one call: nothing partial, nothing left open, the rest done', () => {
    expect(calls.length).toBeGreaterThan(100)
    for (let failing = 0; failing < calls.length; failing++) {
      const code = failing % 2 === 0 ? 'EIO' : 'ENOSPC'
      withScenario(change, (tree, task) => {
        const fs = new FaultyFileSystem((_, index) => (index === failing ? code : null), unsyncedFileSystem)
        const answer = materialize(fs, task)
        const call = fs.calls[failing]!
        const where = `call ${failing}: ${call.name} ${call.path}`
        expect([...fs.opened.values()], where).toEqual([])
        expect(tree.temporaries(), where).toEqual([])
        // The one can't be a directory while the other can't be deleted.
        const failed = answer.failures.filter(({ index }) => task.operations[index]?.key !== 'was-file/k')
        if (!isShared(call)) expect(failed.length, where).toBeLessThanOrEqual(1)
        for (const failure of answer.failures) expect([code, 'ENOTDIR', 'ENOTEMPTY']).toContain(failure.code)
        expectDone(tree, answer, task)
        expectRepaired(tree, task)
      })
    }
  })

  test('survives the failure of every call from any one on, as if it was killed there', () => {
    for (let from = 0; from < calls.length; from++) {
      withScenario(change, (tree, task) => {
        const fs = new FaultyFileSystem((_, index) => (index >= from ? 'EIO' : null), unsyncedFileSystem)
        const answer = materialize(fs, task)
        expect([...fs.opened.values()], `from call ${from}`).toEqual([])
        // Who hears of a failure here hears of it for all that was not finished; the content itself is never partial.
        for (const key of Object.keys(VALUES) as Key[]) expectWhole(tree, key, removed)
        // Only closing what was read may fail without consequences.
        const [name, path] = [calls[from]!.name, fs.calls[from]!.path]
        if (name !== 'close' || path !== tree.segment) expect(answer.failures.length).toBeGreaterThan(0)
        expectRepaired(tree, task)
      })
    }
  })
})
