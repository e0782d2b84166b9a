/**
 * Damage at rest in contents, and edits by hand. Every bit of a content is flipped with its size and time as they were, each
 * in a key of its own, and contents are cut off, emptied, lengthened, deleted and edited, while the store is closed, while it
 * is open, and between a crash and the next opening. Proven: a wrong value is never given for the right one where a checksum
 * can tell, no other key is affected, and nothing is silent.
 *
 * Not covered: an edit that keeps size and time (it counts as damage), and contents that were deleted while the store was
 * closed: nothing lists them any more, as in the origin.
 */
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Session, Store } from '../../src/api.js'
import { collect, failureOf, refusal } from '../../src/contract/observe.js'
import type { Limits } from '../../src/limits.js'
import { damageFile, flipBit, setTime, truncateTo } from './support/damage-bytes.js'
import { copyTree, fastBackend, leaveRoot } from './support/left-root.js'
import { briefly, openRecorded, type Opened } from './support/shown.js'

const ANN = { writerId: 'ann' }
const BEN = { writerId: 'ben' }
const VALUE = 'the value of this key'

async function writeAll(store: Store, keys: readonly string[]): Promise<void> {
  const session = await store.init('n', { writer: ANN })
  await Promise.all(keys.map((key) => session.write(key, VALUE)))
}

interface Given extends Opened {
  readonly root: string
  readonly session: Session
}

async function open(root: string, limits?: Partial<Limits>): Promise<Given> {
  const opened = await openRecorded(fastBackend(root), limits)
  onTestFinished(() => opened.store.close())
  return { ...opened, root, session: await opened.store.resume('n', { writer: ANN }) }
}

/** A root that was closed with `k` and `beside` in it, changed, and opened. */
async function openChanged(change: (path: string) => void): Promise<Given> {
  const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
  const root = left.copy()
  change(`${root}/n/k`)
  return open(root)
}

/** An edit as an editor makes it: another time at least. */
function edit(path: string, text: string): void {
  writeFileSync(path, text)
  const later = new Date(Date.now() + 60_000)
  utimesSync(path, later, later)
}

describe('a content that was damaged with its size and time unchanged', () => {
  test('is told at every bit, costs no other key, and is never given for the value', async () => {
    const bits = VALUE.length * 8
    const damaged = Array.from({ length: bits }, (_, bit) => `damaged-${bit}`)
    const whole = Array.from({ length: 20 }, (_, index) => `whole-${index}`)
    const left = await leaveRoot('closed', (store) => writeAll(store, [...damaged, ...whole]))
    const root = left.copy()
    damaged.forEach((key, bit) => damageFile(`${root}/n/${key}`, flipBit(bit)))
    const { session, external, warnings } = await open(root)
    expect(await session.list()).toEqual([...damaged, ...whole].sort())
    for (const key of whole) expect(briefly((await session.entry(key))!)).toEqual(left.shown['n']![key])
    for (const key of damaged) {
      for (const read of [() => session.read(key), () => session.readBytes(key), () => session.entry(key)]) {
        const error = await refusal('CONTENT_CORRUPT', read)
        expect(error).toMatchObject({ namespace: 'n', key, path: `${root}/n/${key}`, outcome: 'unchanged' })
      }
    }
    expect([external, warnings]).toEqual([[], []])
  })

  test('can still be listed and looked at; whoever goes through all entries is told at which it is', async () => {
    const { session, root } = await openChanged((path) => damageFile(path, flipBit(7)))
    expect(await session.list()).toEqual(['beside', 'k'])
    expect(await session.stat('k')).toMatchObject({ writer: ANN, size: VALUE.length })
    expect(await failureOf(() => collect(session.entries()))).toMatchObject({
      code: 'CONTENT_CORRUPT',
      key: 'k',
      path: `${root}/n/k`,
    })
    await refusal('CONTENT_CORRUPT', () => session.update('k', (value) => `${value}!`))
    expect((await collect(session.entries({ prefix: 'b' }))).length).toBe(1)
  })

  test('is replaced by a write, and goes with a deletion', async () => {
    for (const act of [(s: Session) => s.write('k', VALUE), (s: Session) => s.delete('k')]) {
      const { session, store, root } = await openChanged((path) => damageFile(path, flipBit(7)))
      await refusal('CONTENT_CORRUPT', () => session.read('k'))
      await act(session)
      const expected = await session.read('k')
      await store.close()
      const again = await open(root)
      expect(await again.session.read('k')).toBe(expected)
      expect([again.external, again.warnings]).toEqual([[], []])
    }
  })

  test('while the store is open is told when the key is next read from its file', async () => {
    const { store, root } = await openChanged(() => {})
    await store.close()
    const { session } = await open(root, { cacheBytesMax: 1 })
    await session.read('k')
    await session.read('beside')
    damageFile(`${root}/n/k`, flipBit(7))
    await refusal('CONTENT_CORRUPT', () => session.read('k'))
    expect(await session.read('beside')).toBe(VALUE)
  })

  test('is made good by recovery where the journal still has the value', async () => {
    const left = await leaveRoot(
      'killed',
      (store) => writeAll(store, ['k', 'beside']),
      async (store) => void (await (await store.resume('n', { writer: BEN })).write('k', 'newer')),
    )
    const root = left.copy()
    damageFile(`${root}/n/k`, flipBit(7))
    const { session, external, warnings, store } = await open(root)
    expect(await session.read('k')).toBe('newer')
    expect([external, warnings]).toEqual([[], []])
    await store.close()
    expect(readFileSync(`${root}/n/k`, 'utf8')).toBe('newer')
  })
})

const EDITS: readonly (readonly [string, (path: string) => void, string])[] = [
  ['was written anew', (path) => edit(path, 'by hand'), 'by hand'],
  ['was written anew with as many bytes', (path) => edit(path, VALUE.toUpperCase()), VALUE.toUpperCase()],
  ['was lengthened', (path) => appendFileSync(path, '!'), `${VALUE}!`],
  ['was emptied', (path) => edit(path, ''), ''],
  ['was cut off by the disk', (path) => damageFile(path, truncateTo(5)), VALUE.slice(0, 5)],
  ['was emptied by the disk', (path) => damageFile(path, truncateTo(0)), ''],
  [
    'was written anew with its old time',
    (path) => {
      const { mtimeMs } = statSync(path)
      writeFileSync(path, 'by hand')
      setTime(path, mtimeMs)
    },
    'by hand',
  ],
]

describe.each(EDITS)('a content that %s while the store was closed', (_, change, text) => {
  test('is readable, external in its entry, and published as such, once', async () => {
    const { session, external, warnings } = await openChanged(change)
    expect(await session.stat('k')).toMatchObject({ external: true, writer: ANN, size: text.length })
    expect(await session.read('k')).toBe(text)
    expect(await session.entry('k')).toMatchObject({ external: true })
    expect(await session.entry('beside')).toMatchObject({ external: false })
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    expect(warnings).toEqual([])
  })

  test('is a conflict for a writer who goes by what it saw before, and for nobody who has looked', async () => {
    const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
    const { revision: seenRevision } = left.shown['n']!['k']!
    const root = left.copy()
    change(`${root}/n/k`)
    const { session, store } = await open(root)
    const options = { seenRevision, conflictPolicy: 'error' } as const
    const { conflict } = await refusal('CONFLICT', () => session.write('k', 'overwritten', options))
    expect(conflict).toMatchObject({ rule: 'lost-update', previous: null, seenRevision })
    expect(conflict.previousRevision).toBeGreaterThan(seenRevision)
    await refusal('CONFLICT', () => session.delete('k', options))
    expect(await session.read('k')).toBe(text)
    expect((await session.write('k', 'after a look', { conflictPolicy: 'error' })).conflict).toBeNull()
    const other = await store.resume('n', { writer: BEN })
    expect((await other.write('beside', 'by another')).conflict).toMatchObject({ previous: ANN })
  })

  test('is replaced by the next write, and the key is as any other then', async () => {
    const { session, store, root } = await openChanged(change)
    const before = await session.stat('k')
    const { revision } = await session.write('k', 'new')
    expect(revision).toBeGreaterThan(before!.revision)
    await store.close()
    const again = await open(root)
    expect(await again.session.entry('k')).toMatchObject({ external: false, revision, writer: ANN })
    expect(again.external).toEqual([])
  })
})

test('a content that was only touched, or copied with its metadata, is still what was written', async () => {
  const left = await leaveRoot('closed', (store) => writeAll(store, ['k', 'beside']))
  const root = left.copy()
  for (const key of ['k', 'beside']) setTime(`${root}/n/${key}`, 1_000_000_000_000)
  const { session, external } = await open(root)
  for (const key of ['k', 'beside']) {
    expect(briefly((await session.entry(key))!)).toEqual(left.shown['n']![key])
  }
  expect(external).toEqual([])
})

test('a content that was put there by hand is an external entry without a writer', async () => {
  const { session, external, root } = await openChanged((path) => edit(`${path}-by-hand`, 'new'))
  expect(await session.list()).toEqual(['beside', 'k', 'k-by-hand'])
  expect(await session.entry('k-by-hand')).toMatchObject({ external: true, writer: null })
  expect(external).toEqual([{ namespace: 'n', key: 'k-by-hand', preservedAs: null }])
  expect(await session.delete('k-by-hand')).toMatchObject({ deleted: true })
  expect(existsSync(`${root}/n/.agent_state_meta/k-by-hand.json`)).toBe(false)
})

describe('a content that was deleted', () => {
  test('while the store was closed is missing, and what was known of it does not come back', async () => {
    const { session, store, root, external } = await openChanged((path) => rmSync(path))
    expect([await session.list(), await session.read('k')]).toEqual([['beside'], null])
    const anonymous = await store.resume('n')
    await anonymous.write('k', 'new', { ifRevision: null })
    expect((await session.stat('k'))!.writer).toBeNull()
    await store.close()
    const again = await open(root)
    expect(await again.session.entry('k')).toMatchObject({ writer: null, external: false })
    expect([external, again.external]).toEqual([[], []])
  })

  test('while the store is open reads as missing, is published, and is a conflict for who had seen it', async () => {
    const { store, root } = await openChanged(() => {})
    await store.close()
    const { session, external } = await open(root, { cacheBytesMax: 1 })
    await session.read('k')
    await session.read('beside')
    rmSync(`${root}/n/k`)
    const other = session.with({})
    expect(await other.read('k')).toBeNull()
    expect(await other.list()).toEqual(['beside'])
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    const { conflict } = await session.write('k', 'again')
    expect(conflict).toMatchObject({ rule: 'lost-update', previous: null, previousRevision: null })
  })

  test('with its whole namespace: there is none any more, and it can be made again', async () => {
    const left = await leaveRoot('closed', (store) => writeAll(store, ['k']))
    const root = left.copy()
    rmSync(`${root}/n`, { recursive: true })
    const { store } = await openRecorded(fastBackend(root))
    onTestFinished(() => store.close())
    await refusal('NAMESPACE_NOT_FOUND', () => store.resume('n'))
    const session = await store.init('n')
    expect(await session.list()).toEqual([])
    const { revision } = await session.write('k', 'new')
    expect(revision).toBeGreaterThan(left.shown['n']!['k']!.revision)
  })
})

describe('an edit while the store is open', () => {
  test('is seen when the key is next read from its file, as a change of nobody’s with a new revision', async () => {
    const { store, root } = await openChanged(() => {})
    await store.close()
    const { session, external } = await open(root, { cacheBytesMax: 1 })
    const before = await session.entry('k')
    await session.read('beside')
    edit(`${root}/n/k`, 'by hand')
    const found = await session.with({}).entry('k')
    expect(found).toMatchObject({ external: true, writer: ANN })
    expect(found!.revision).toBeGreaterThan(before!.revision)
    expect(Buffer.from(found!.value).toString()).toBe('by hand')
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs: null }])
    const options = { conflictPolicy: 'error' } as const
    const { conflict } = await refusal('CONFLICT', () => session.write('k', 'blindly', options))
    expect(conflict).toMatchObject({ rule: 'lost-update', previous: null, seenRevision: before!.revision })
  })

  test('is overwritten by a write that comes before anybody saw it', async () => {
    const { session, store, root, external } = await openChanged(() => {})
    await session.read('k')
    edit(`${root}/n/k`, 'by hand')
    expect((await session.write('k', 'new')).conflict).toBeNull()
    await store.flush()
    expect(readFileSync(`${root}/n/k`, 'utf8')).toBe('new')
    expect(external).toEqual([])
  })
})

describe('an edit between a crash and the next opening', () => {
  test.each([
    ['written', (session: Session) => session.write('k', 'from the journal')],
    ['deleted', (session: Session) => session.delete('k')],
  ])('is kept aside when the journal has the key %s, and published with its place', async (_, late) => {
    const left = await leaveRoot(
      'killed',
      (store) => writeAll(store, ['k', 'beside']),
      async (store) => void (await late(await store.resume('n', { writer: ANN }))),
    )
    const root = left.copy()
    edit(`${root}/n/k`, 'by hand')
    edit(`${root}/n/by-hand`, 'nothing that the journal knows of')
    const { session, external, recovered } = await open(root)
    expect(await session.read('k')).toBe(left.shown['n']!['k']?.value ?? null)
    expect(recovered).toMatchObject([{ preserved: 1 }])
    const preservedAs = external[0]?.preservedAs ?? ''
    expect(external).toEqual([{ namespace: 'n', key: 'k', preservedAs }])
    expect(readFileSync(`${root}/${preservedAs}`, 'utf8')).toBe('by hand')
    const note = JSON.parse(readFileSync(`${root}/${preservedAs}.json`, 'utf8')) as unknown
    expect(note).toEqual({ namespace: 'n', key: 'k' })
    expect(await session.entry('by-hand')).toMatchObject({ external: true })
    expect(await session.entry('beside')).toMatchObject({ external: false })
  })
})

describe('what is put by hand into a namespace that was removed, between a crash and the next opening', () => {
  test.each([
    ['removed', async (_store: Store) => {}],
    ['made again', async (store: Store) => void (await (await store.init('n')).write('new', VALUE))],
  ])('is kept aside; what was there before is gone (%s)', async (_, after) => {
    const left = await leaveRoot(
      'killed',
      (store) => writeAll(store, ['k', 'beside', 'deep/below']),
      async (store) => {
        await store.remove('n')
        await after(store)
      },
    )
    const root = left.copy()
    edit(`${root}/n/k`, 'by hand')
    edit(`${root}/n/deep/by-hand`, 'by hand, too')
    const { store, external, recovered, warnings } = await openRecorded(fastBackend(root))
    onTestFinished(() => store.close())
    expect(external.map(({ key }) => key).sort()).toEqual(['deep/by-hand', 'k'])
    expect(recovered).toMatchObject([{ preserved: 2 }])
    const textsByKey = { k: 'by hand', 'deep/by-hand': 'by hand, too' }
    for (const { key, preservedAs } of external) {
      expect(readFileSync(`${root}/${preservedAs}`, 'utf8')).toBe(textsByKey[key as keyof typeof textsByKey])
      const note = JSON.parse(readFileSync(`${root}/${preservedAs}.json`, 'utf8')) as unknown
      expect(note).toEqual({ namespace: 'n', key })
    }
    const expected = left.shown['n'] === undefined ? [] : Object.keys(left.shown['n'])
    const found = await (await store.init('n')).list()
    expect([found, warnings]).toEqual([expected, []])
  })
})

test('a root that was copied while its store was closed is the same store, whatever became of the times', async () => {
  const left = await leaveRoot('closed', (store) => writeAll(store, ['a', 'b/c', 'b/d']))
  const root = left.copy()
  const copy = `${root}-elsewhere`
  copyTree(root, copy)
  for (const name of readdirSync(`${copy}/n`, { recursive: true, encoding: 'utf8' })) {
    if (statSync(`${copy}/n/${name}`).isFile()) utimesSync(`${copy}/n/${name}`, 5, 5)
  }
  const { store, external } = await open(copy)
  const session = await store.resume('n')
  for (const key of ['a', 'b/c', 'b/d']) {
    expect(briefly((await session.entry(key))!)).toEqual(left.shown['n']![key])
  }
  expect(external).toEqual([])
})
