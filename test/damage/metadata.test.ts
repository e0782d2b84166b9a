/**
 * Damage at rest in metadata. Every bit of a metadata file is flipped, and the file is cut off at every byte, each in a key
 * of its own. Proven: the value is the right one, the keys beside it are as they were, and nothing is silent: the entry is
 * reported as `external`, and a file that is not even JSON any more as `METADATA_CORRUPT`. Then that keeps writers from
 * overwriting the key until one of them says so, or deletes it.
 *
 * Not covered: two metadata files that changed places, of keys with the same content of the same time.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import { refusal } from '../../src/contract/observe.js'
import type { Limits } from '../../src/limits.js'
import { damageFile, flipBit, truncateTo } from './support/damage-bytes.js'
import { fastBackend, leaveRoot } from './support/left-root.js'
import { briefly, openRecorded, type Opened } from './support/shown.js'
import { temporaryDirectory } from './support/temporary-directory.js'

const WRITER = { writerId: 'ann', stageId: 'draft', workerId: 'w' }
const VALUE = 'the value'

const metadataOf = (root: string, key: string): string => `${root}/n/.agent_state_meta/${key}.json`

async function writeAll(store: Store, keys: readonly string[]): Promise<void> {
  const session = await store.init('n', { writer: WRITER })
  await Promise.all(keys.map((key) => session.write(key, VALUE)))
}

async function open(root: string, limits?: Partial<Limits>): Promise<Opened & { readonly session: Session }> {
  const opened = await openRecorded(fastBackend(root), limits)
  onTestFinished(() => opened.store.close())
  return { ...opened, session: await opened.store.resume('n', { writer: WRITER }) }
}

/** A closed root with as many keys as there are ways to damage a metadata file, each damaged in another way. */
async function damageEach(waysOf: (metadata: Buffer) => ((path: string) => void)[]): Promise<void> {
  const example = await leaveRoot('closed', (store) => writeAll(store, ['example-00000']))
  const ways = waysOf(readFileSync(metadataOf(example.copy(), 'example-00000')))
  // As long as the example, so that the metadata are too.
  const damaged = ways.map((_, index) => `damaged-${index.toString().padStart(5, '0')}`)
  const whole = damaged.filter((_, index) => index % 100 === 0).map((key) => `${key}-beside`)
  const left = await leaveRoot('closed', (store) => writeAll(store, [...damaged, ...whole]))
  const root = left.copy()
  ways.forEach((damage, index) => damage(metadataOf(root, damaged[index]!)))

  const { session, external, warnings } = await open(root)
  expect(await session.list()).toEqual([...damaged, ...whole].sort())
  for (const key of whole) expect(briefly((await session.entry(key))!)).toEqual(left.shown['n']![key])
  expect(external).toEqual([])
  for (const key of damaged) {
    const entry = await session.entry(key)
    expect({ value: Buffer.from(entry!.value).toString(), external: entry!.external }, key).toEqual({
      value: VALUE,
      external: true,
    })
  }
  expect(external.map(({ key }) => key).sort()).toEqual(damaged)
  for (const { code, message } of warnings) {
    expect(code).toBe('METADATA_CORRUPT')
    expect(message).toContain(`${root}/n/.agent_state_meta/damaged-`)
  }
  expect(warnings.length, 'what is no JSON is told from what was changed').toBeGreaterThan(ways.length / 10)
}

test('every flipped bit of metadata is noticed, and spoils neither the value nor any other key', () =>
  damageEach((metadata) =>
    Array.from({ length: metadata.length * 8 }, (_, bit) => (path) => damageFile(path, flipBit(bit))),
  ))

test('metadata that was cut off at any byte is noticed', () =>
  damageEach((metadata) =>
    Array.from({ length: metadata.length }, (_, size) => (path) => damageFile(path, truncateTo(size))),
  ))

const UNREADABLE: readonly (readonly [string, Uint8Array])[] = [
  ['is empty', Buffer.of()],
  ['is not JSON', Buffer.from('{ "writer":')],
  ['is not text', Buffer.from([0xff, 0x00, 0xfe])],
  ['names the writer in another way than the origin', Buffer.from('{"writer": "ann"}')],
  ['has more bytes than any metadata', Buffer.alloc(2 * 1024 * 1024, ' ')],
]

describe.each(UNREADABLE)('metadata that %s', (_, bytes) => {
  async function given(): Promise<Awaited<ReturnType<typeof open>> & { readonly path: string }> {
    const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
    const root = left.copy()
    const path = metadataOf(root, 'k')
    writeFileSync(path, bytes)
    return { ...(await open(root)), path }
  }

  test('leaves the value readable and listed, and is warned of with its path', async () => {
    const { session, external, warnings, path } = await given()
    expect(await session.list()).toEqual(['beside', 'k'])
    expect(await session.read('k')).toBe(VALUE)
    expect(await session.stat('k')).toMatchObject({ external: true, writer: null, size: VALUE.length })
    expect(await session.stat('beside')).toMatchObject({ external: false, writer: WRITER })
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    expect(warnings).toMatchObject([{ code: 'METADATA_CORRUPT' }])
    expect(warnings[0]!.message).toContain(path)
  })

  test('refuses every kind of write of its key, changes nothing then, and names the file', async () => {
    const { session, store, path } = await given()
    const anonymous = await store.resume('n')
    const writes: (() => Promise<unknown>)[] = [
      () => session.write('k', 'new'),
      () => anonymous.write('k', 'new'),
      () => session.update('k', () => 'new'),
      () =>
        session.batch([
          { write: 'beside', value: 'new' },
          { write: 'k', value: 'new' },
        ]),
    ]
    for (const write of writes) {
      expect(await refusal('METADATA_CORRUPT', write)).toMatchObject({ path, key: 'k', outcome: 'unchanged' })
    }
    await store.flush()
    expect([await session.read('k'), await session.read('beside')]).toEqual([VALUE, VALUE])
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  test('is repaired by a write that says so, and then the key is as any other', async () => {
    const { session, store, warnings, path } = await given()
    const { conflict } = await session.write('k', 'repaired', { repairMetadata: true })
    expect(conflict).toBeNull()
    await session.write('k', 'again')
    await store.close()
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ writer: { writer_id: 'ann' }, size: 5 })
    expect(warnings.length).toBe(1)
    const again = await open(path.slice(0, path.indexOf('/n/')))
    expect(await again.session.entry('k')).toMatchObject({ writer: WRITER, external: false })
    expect([again.external, again.warnings]).toEqual([[], []])
  })

  test('goes with its key when that is deleted', async () => {
    const { session, store, path } = await given()
    expect(await session.delete('k')).toMatchObject({ deleted: true })
    await store.flush()
    expect(existsSync(path)).toBe(false)
    await session.write('k', 'new')
    expect(await session.stat('k')).toMatchObject({ external: false, writer: WRITER })
  })
})

/** What can lie where metadata should. None of it tells anything of the key, and none of it is followed or waited for. */
const REPLACEMENTS: readonly (readonly [string, (path: string, outside: string) => void])[] = [
  ['was deleted', () => {}],
  ['was replaced by a directory', (path) => mkdirSync(path)],
  ['was replaced by a symlink to a file that would do', (path, outside) => symlinkSync(outside, path)],
  ['was replaced by a symlink to itself', (path) => symlinkSync(path, path)],
  ['was replaced by a FIFO', (path) => execFileSync('mkfifo', [path])],
]

test.each(REPLACEMENTS)(
  'metadata that %s leaves an external entry without a writer, which can be written',
  async (_, replace) => {
    const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
    const root = left.copy()
    const outside = `${temporaryDirectory()}/outside.json`
    const metadata = readFileSync(metadataOf(root, 'k'))
    writeFileSync(outside, metadata)
    rmSync(metadataOf(root, 'k'))
    replace(metadataOf(root, 'k'), outside)
    const { session, store, external, warnings } = await open(root)
    expect(await session.entry('k')).toMatchObject({ external: true, writer: null })
    expect(await session.read('k')).toBe(VALUE)
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    await session.write('k', 'new')
    await store.close()
    const again = await open(root)
    expect(await again.session.entry('k')).toMatchObject({ external: false, writer: WRITER })
    expect([warnings, again.external, again.warnings]).toEqual([[], [], []])
    expect(readFileSync(outside).equals(metadata), 'what lies outside is not touched').toBe(true)
  },
)

test('metadata that is damaged while the store is open is noticed when the key is next read from its files', async () => {
  const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
  const root = left.copy()
  const { session, external } = await open(root, { cacheBytesMax: 1 })
  const before = await session.entry('k')
  // The cache has room for one value.
  await session.read('beside')
  writeFileSync(metadataOf(root, 'k'), '{')
  const after = await session.entry('k')
  expect(Buffer.from(after!.value).toString()).toBe(VALUE)
  expect(after!.external).toBe(true)
  expect(after!.revision).toBeGreaterThan(before!.revision)
  expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
  await refusal('METADATA_CORRUPT', () => session.write('k', 'new'))
})
