/**
 * I9: 100,000 keys in one namespace and 10,000 namespaces: of the coordinator with a backend in memory, of the journal and
 * recovery with a tree that lags, and of the tree. Beyond memory that takes minutes, so `npm test` has fewer there; the long run
 * (`npm run test:torture`) has all of them, as files on the real disk.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore as openBuilt } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { unsyncedFileSystem } from '../backend/file/faulty-file-system.js'
import { HeldRunner } from '../damage/support/held-runner.js'
import { fastBackend } from '../damage/support/left-root.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'

const isLong = tortureSettings().isLong
const KEYS = 100_000
const NAMESPACES = 10_000
const JOURNAL_KEYS = isLong ? KEYS : 20_000
const JOURNAL_NAMESPACES = isLong ? NAMESPACES : 2000
const TREE_KEYS = isLong ? KEYS : 2000
const TREE_NAMESPACES = isLong ? NAMESPACES : 200
const BATCH = 1000
const TIMEOUT_MS = isLong ? 2 * 3_600_000 : 300_000

/** In directories of 500. */
function keyOf(index: number): string {
  return `d${String(Math.floor(index / 500)).padStart(3, '0')}/k${String(index).padStart(6, '0')}`
}

async function writeKeys(session: Session, count: number): Promise<void> {
  const indexes = Array.from({ length: count }, (_, index) => index)
  for (let start = 0; start < count; start += BATCH) {
    const some = indexes.slice(start, start + BATCH)
    await session.batch(some.map((index) => ({ write: keyOf(index), value: `value ${index}` })))
  }
}

async function makeNamespaces(store: Store, count: number): Promise<void> {
  for (let start = 0; start < count; start += 100) {
    const names = Array.from({ length: Math.min(100, count - start) }, (_, index) => `n${start + index}`)
    await Promise.all(names.map(async (name) => (await store.init(name)).write('k', name)))
  }
}

/** Every way of looking at all keys. */
async function checkKeys(session: Session, count: number): Promise<void> {
  const expected = Array.from({ length: count }, (_, index) => keyOf(index))
  expect(await session.list()).toEqual(expected)
  expect(await session.list({ prefix: 'd001/', limit: 3 })).toEqual(expected.slice(500, 503))
  expect(await session.list({ after: expected[count - 3]!, limit: 10 })).toEqual(expected.slice(-2))
  const initial: string[] = []
  for await (const item of session.watch({ initial: true })) {
    if (item.type === 'ready') break
    initial.push(item.key)
  }
  expect(initial).toEqual(expected)
  const entries: string[] = []
  for await (const { key, value } of session.entries())
    entries.push(`${key} ${Buffer.from(value).toString()}`)
  expect(entries).toEqual(expected.map((key, index) => `${key} value ${index}`))
}

async function checkNamespaces(store: Store, count: number): Promise<void> {
  let found = 0
  for await (const name of store.namespaces()) if (/^n\d+$/.test(name)) found++
  expect(found).toBe(count)
  for (let index = 0; index < count; index += Math.ceil(count / 200)) {
    expect(await (await store.resume(`n${index}`)).read('k')).toBe(`n${index}`)
  }
}

describe('many keys of a namespace, and many namespaces', () => {
  test('100,000 and 10,000 in memory: all are found, with caches that hold a tenth of them; one key more is refused at the bound', async () => {
    const limits = { namespaceKeysMax: KEYS, headBytesMax: 2 ** 20, cacheBytesMax: 2 ** 20 }
    const store = await openStore({ backend: memoryBackend(), limits })
    onTestFinished(() => store.close())
    const session = await store.init('many')
    await writeKeys(session, KEYS)
    const error = await refusal('LIMIT_EXCEEDED', () => session.write('one/more', ''))
    expect(error).toMatchObject({ limit: 'namespaceKeysMax', max: KEYS, outcome: 'unchanged' })
    await session.write(keyOf(7), 'value 7')
    await checkKeys(session, KEYS)
    await makeNamespaces(store, NAMESPACES)
    await checkNamespaces(store, NAMESPACES)
    await session.delete(keyOf(0))
    await session.write('one/more', '')
    await store.remove('many')
    await refusal('NAMESPACE_NOT_FOUND', () => store.resume('many'))
  })

  test(`I1: ${JOURNAL_KEYS} and ${JOURNAL_NAMESPACES} in a journal whose tree does not follow: all are found at once, and after an unclean end`, async () => {
    const root = temporaryDirectory()
    for (const opening of ['first', 'second']) {
      const runner = new HeldRunner(unsyncedFileSystem)
      // What was found is written again to the journal; the tree has too little time for it.
      runner.hold()
      const store = await openStore({ backend: fastBackend(root, { runner: () => runner }) })
      store.events.on('warning', () => {})
      if (opening === 'first') {
        await writeKeys(await store.init('many'), JOURNAL_KEYS)
        await makeNamespaces(store, JOURNAL_NAMESPACES)
      }
      const session = await store.resume('many')
      expect(await session.list()).toHaveLength(JOURNAL_KEYS)
      for (let index = 0; index < JOURNAL_KEYS; index += 997) {
        expect(await session.read(keyOf(index))).toBe(`value ${index}`)
      }
      await checkNamespaces(store, JOURNAL_NAMESPACES)
      const closing = refusal('CLOSE_INCOMPLETE', () => store.close())
      runner.refuse()
      await closing
    }
  })
})

test(
  `${TREE_KEYS} keys and ${TREE_NAMESPACES} namespaces in the tree: all are files, found after closing, and gone when removed`,
  async () => {
    // The real disk, when there is time for it.
    const root = isLong ? mkdtempSync(join(tmpdir(), 'agent-state-')) : temporaryDirectory()
    onTestFinished(() => rmSync(root, { recursive: true, force: true }))
    const store = await openBuilt({ root })
    await writeKeys(await store.init('many'), TREE_KEYS)
    await makeNamespaces(store, TREE_NAMESPACES)
    await store.close()
    const files = readdirSync(`${root}/many`, { recursive: true, encoding: 'utf8' })
    const contents = files.filter((path) => /^d\d{3}.k\d{6}$/.test(path))
    expect(contents).toHaveLength(TREE_KEYS)
    expect(files.filter((path) => path.endsWith('.json'))).toHaveLength(TREE_KEYS)
    expect(readdirSync(root)).toHaveLength(TREE_NAMESPACES + 2)

    const again = await openBuilt({ root })
    onTestFinished(() => again.close().catch(() => {}))
    again.events.on('external', (event) => expect.unreachable(JSON.stringify(event)))
    const session = await again.resume('many')
    await checkKeys(session, TREE_KEYS)
    await checkNamespaces(again, TREE_NAMESPACES)
    await again.remove('many')
    for (let index = 0; index < TREE_NAMESPACES; index += 2) await again.remove(`n${index}`)
    await again.flush()
    expect(readdirSync(root)).toHaveLength(TREE_NAMESPACES / 2 + 1)
    await again.close()
  },
  TIMEOUT_MS,
)
