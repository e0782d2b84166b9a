import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openStore, type OpenOptions, type Store } from 'agent-state'
import { makeRoot } from '../helpers/file-stores.js'

async function given() {
  const root = await makeRoot()
  const file = join(root, '.agent_state', 'conflicts.jsonl')
  const open = async (options: Partial<OpenOptions> = {}): Promise<Store> => {
    const store = await openStore({ ...options, root } as OpenOptions)
    onTestFinished(() => store.close().catch(() => {}))
    return store
  }
  /** Two writers, the second of whom overwrites the first. */
  const overwrite = async (store: Store, key: string): Promise<void> => {
    const ann = await store.init('n', { writer: { writerId: 'ann' } })
    await ann.write(key, '1')
    await ann.with({ writer: { writerId: 'ben' } }).write(key, '2')
  }
  const keys = async (store: Store): Promise<string[]> => (await store.conflicts()).map(({ key }) => key)
  return { file, open, overwrite, keys }
}

test('past conflicts outlast the store, a line each in a file that people can read', async () => {
  const { file, open, overwrite, keys } = await given()
  const first = await open()
  await overwrite(first, 'a')
  await first.close()
  const [line] = (await readFile(file, 'utf8')).trimEnd().split('\n')
  expect(JSON.parse(line!)).toMatchObject({ namespace: 'n', key: 'a', current: { writerId: 'ben' } })
  const second = await open()
  await overwrite(second, 'b')
  expect(await keys(second)).toEqual(['a', 'b'])
  await second.close()
  expect(await keys(await open())).toEqual(['a', 'b'])
})

test('of earlier and later conflicts the last ones are kept', async () => {
  const { file, open, overwrite, keys } = await given()
  for (const key of ['a', 'b', 'c']) {
    const store = await open({ limits: { conflictLogMax: 2 } })
    await overwrite(store, key)
    await store.close()
  }
  expect((await readFile(file, 'utf8')).trimEnd().split('\n').length).toBe(2)
  expect(await keys(await open())).toEqual(['b', 'c'])
})

test('a store without conflicts writes no log', async () => {
  const { file, open } = await given()
  const store = await open()
  await (await store.init('n')).write('a', '1')
  await store.close()
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('lines that are none of ours are left out', async () => {
  const { file, open, overwrite, keys } = await given()
  const first = await open()
  await overwrite(first, 'a')
  await first.close()
  const line = await readFile(file, 'utf8')
  await writeFile(file, `null\n{"key":1}\nno json\n${line}[]\n\n{"namespace":"n","key":"k"}\n`)
  expect(await keys(await open())).toEqual(['a'])
})

test('what was put in the place of the log harms nothing, and a log that can’t be written is warned of once', async () => {
  const { file, open, overwrite, keys } = await given()
  const first = await open()
  await first.close()
  await mkdir(file)
  const store = await open()
  const warnings: string[] = []
  store.events.on('warning', ({ code }) => warnings.push(code))
  await overwrite(store, 'a')
  expect(await keys(store)).toEqual(['a'])
  const ended = store.close()
  await ended
  expect(warnings).toEqual(['CONFLICT_LOG_FAILED'])
})

test('a symlink in the place of the log is replaced, not followed', async () => {
  const { file, open, overwrite, keys } = await given()
  const first = await open()
  await first.close()
  const elsewhere = join(await makeRoot(), 'precious')
  await writeFile(elsewhere, 'precious')
  await symlink(elsewhere, file)
  const store = await open()
  await overwrite(store, 'a')
  await store.close()
  expect(await readFile(elsewhere, 'utf8')).toBe('precious')
  expect(await keys(await open())).toEqual(['a'])
})
