/**
 * I10: what is done to a root while it is open. The lock is on the directory; when another one lies at its path, or none, the
 * store says so and fails, touches nothing of what lies there now, and what it had acknowledged is where the directory is.
 *
 * Not covered: what is acknowledged until that is noticed, a second or so after the next write, is lost if the
 * directory was deleted; as is all that was there before. A task that has begun when the directory is moved goes on.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { openStore as openBuilt } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../src/api.js'
import { failureOf, record, refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { unsyncedFileSystem } from '../backend/file/faulty-file-system.js'
import { HeldRunner } from '../damage/support/held-runner.js'
import { fastBackend } from '../damage/support/left-root.js'
import { showDisk, showStore } from '../damage/support/shown.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'

const MIB = 'a value '.repeat(128 * 1024)

async function opened(root: string, runner?: HeldRunner): Promise<Store> {
  const store = await openStore({
    backend: fastBackend(root, runner === undefined ? {} : { runner: () => runner }),
  })
  store.events.on('warning', () => {})
  onTestFinished(() => store.close({ flush: false }).catch(() => {}))
  return store
}

/** An idle store writes its checkpoint when it likes. */
function showOthers(root: string): Record<string, string> {
  const { '.agent_state/checkpoint': _, ...others } = showDisk(root)
  return others
}

/** Takes the root away; returns where its directory is now. */
const WAYS: readonly (readonly [string, (root: string) => string | null])[] = [
  [
    'deleted',
    (root) => {
      rmSync(root, { recursive: true })
      return null
    },
  ],
  [
    'moved',
    (root) => {
      renameSync(root, `${root}-moved`)
      return `${root}-moved`
    },
  ],
  [
    'moved with a directory above it',
    (root) => {
      const above = root.slice(0, root.lastIndexOf('/'))
      renameSync(above, `${above}-moved`)
      onTestFinished(() => rmSync(`${above}-moved`, { recursive: true }))
      return `${above}-moved/root`
    },
  ],
  [
    'replaced',
    (root) => {
      renameSync(root, `${root}-moved`)
      mkdirSync(root)
      return `${root}-moved`
    },
  ],
  [
    'replaced by a symlink to it',
    (root) => {
      renameSync(root, `${root}-moved`)
      symlinkSync(`${root}-moved`, root)
      return `${root}-moved`
    },
  ],
]

describe.each(WAYS)('I10, I11: a root that is %s while it is open', (_, take) => {
  test('fails the store as soon as a file is to be written, with all that was acknowledged where it is', async () => {
    const root = `${temporaryDirectory()}/root`
    const store = await opened(root)
    const session = await store.init('n')
    await session.write('a', 'in the tree', { durability: 'tree' })
    const failed = record(store.events, 'failed')
    const moved = take(root)
    const error = await refusal('TREE_PENDING', () => session.write('a', 'later', { durability: 'tree' }))
    expect(error.outcome).toBe('committed')
    expect(store.state).toBe('failed')
    expect(failed.items[0]!.error).toMatchObject({
      code: 'STORE_FAILED',
      cause: { code: 'ROOT_UNUSABLE', path: root },
    })
    expect(await session.read('a')).toBe('later')
    await refusal('STORE_FAILED', () => session.write('a', 'refused'))
    await refusal('CLOSE_INCOMPLETE', () => store.close())
    if (moved === null) return
    expect(readFileSync(`${moved}/n/a`, 'utf8')).toBe('in the tree')
    const again = await opened(moved)
    expect(await (await again.resume('n')).read('a')).toBe('later')
    await again.close()
    expect(readFileSync(`${moved}/n/a`, 'utf8')).toBe('later')
  })
})

describe('I1, I10: another store at the path of a root that was moved away', () => {
  async function both(runner = new HeldRunner(unsyncedFileSystem)) {
    const root = `${temporaryDirectory()}/root`
    const first = await opened(root, runner)
    const session = await first.init('n')
    await session.write('a', 'first')
    await first.flush()
    renameSync(root, `${root}-moved`)
    const second = await opened(root)
    const other = await second.init('n')
    await other.write('a', 'second', { durability: 'tree' })
    await other.write('b', MIB, { durability: 'tree' })
    return { root, first, second, session, other }
  }

  /** What is on the disk and in the store's hands is its own. */
  async function expectUntouched(
    root: string,
    before: ReturnType<typeof showOthers>,
    second: Store,
  ): Promise<void> {
    expect(showOthers(root)).toEqual(before)
    expect(await showStore(second)).toMatchObject({ n: { a: { value: 'second' }, b: { value: MIB } } })
    await second.close()
    const again = await opened(root)
    expect(await showStore(again)).toMatchObject({ n: { a: { value: 'second' }, b: { value: MIB } } })
  }

  test('has nothing written into its tree', async () => {
    const { root, first, second, session } = await both()
    const before = showOthers(root)
    await refusal('TREE_PENDING', () => session.write('c', 'first', { durability: 'tree' }))
    expect(first.state).toBe('failed')
    await refusal('CLOSE_INCOMPLETE', () => first.close())
    await expectUntouched(root, before, second)
  })

  test('is not read as if it were the first one', async () => {
    const { first } = await both()
    await refusal('ROOT_UNUSABLE', () => first.resume('elsewhere'))
    expect(first.state).toBe('failed')
  })

  test('has none of its segments replaced, filled or deleted, however much the first one writes', async () => {
    const runner = new HeldRunner(unsyncedFileSystem)
    const { root, first, second, session } = await both(runner)
    const before = showOthers(root)
    runner.hold()
    const error = await refusal('STORE_FAILED', async () => {
      for (let count = 0; count < 100; count++) await session.write(`k${count % 3}`, MIB)
    })
    expect(error.outcome).toBe('unchanged')
    runner.release()
    await first.close({ flush: false })
    await expectUntouched(root, before, second)
  })

  test('keeps the first one from nothing when it was opened by a symlink that leads elsewhere by now', async () => {
    const directory = temporaryDirectory()
    for (const name of ['one', 'two']) mkdirSync(`${directory}/${name}`)
    symlinkSync('one', `${directory}/link`)
    const first = await opened(`${directory}/link`)
    unlinkSync(`${directory}/link`)
    symlinkSync('two', `${directory}/link`)
    const second = await opened(`${directory}/link`)
    for (const [store, value] of [
      [first, 'one'],
      [second, 'two'],
    ] as const) {
      await (await store.init('n')).write('k', value, { durability: 'tree' })
      await store.close()
      expect(readFileSync(`${directory}/${value}/n/k`, 'utf8')).toBe(value)
    }
  })
})

test('the built store with its worker threads fails in the same way', async () => {
  const root = `${temporaryDirectory()}/root`
  const store = await openBuilt({ root })
  store.events.on('warning', () => {})
  const session = await store.init('n')
  renameSync(root, `${root}-moved`)
  await refusal('TREE_PENDING', () => session.write('k', 'v', { durability: 'tree' }))
  await refusal('STORE_FAILED', () => session.write('k', 'w'))
  await refusal('CLOSE_INCOMPLETE', () => store.close())
  const again = await openBuilt({ root: `${root}-moved` })
  onTestFinished(() => again.close())
  expect(await (await again.resume('n')).read('k')).toBe('v')
})

describe('I1: a journal whose directory is taken away while it is open', () => {
  test.each([
    ['deleted', (journal: string) => rmSync(journal, { recursive: true })],
    [
      'replaced',
      (journal: string) => {
        renameSync(journal, `${journal}-moved`)
        mkdirSync(journal)
      },
    ],
  ])(
    '%s: fails the store before the next task, so that no more is acknowledged that nobody would find again',
    async (_, take) => {
      const root = `${temporaryDirectory()}/root`
      const store = await opened(root)
      const session = await store.init('n')
      await session.write('a', '1', { durability: 'tree' })
      const journal = `${root}/.agent_state/journal`
      take(journal)
      await refusal('TREE_PENDING', () => session.write('a', '2', { durability: 'tree' }))
      expect(store.state).toBe('failed')
      await refusal('STORE_FAILED', () => session.write('a', '3'))
      expect(await session.read('a')).toBe('2')
    },
  )

  test('deleted under load that leaves no time for the tree: within so many commits', async () => {
    const root = `${temporaryDirectory()}/root`
    const store = await opened(root, new HeldRunner(unsyncedFileSystem))
    const session = await store.init('n')
    rmSync(`${root}/.agent_state/journal`, { recursive: true })
    let acknowledged = 0
    const error = await failureOf(async () => {
      for (; acknowledged < 1000; acknowledged++) await session.write('a', String(acknowledged))
    })
    expect(error).toMatchObject({
      code: 'STORE_FAILED',
      cause: { cause: { path: `${root}/.agent_state/journal` } },
    })
    expect(acknowledged).toBeLessThan(100)
  })
})
