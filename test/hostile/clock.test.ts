/**
 * The computer's clock is wrong, and jumps: by years, back and forth, while a store is open and between two openings. What
 * is promised hangs on no clock; times that are shown are those that the clock gave. Time-outs use a clock that can't be set.
 *
 * Not covered: a monotonic clock that is none.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Store } from '../../src/api.js'
import { parseMetadata } from '../../src/backend/file/metadata.js'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { fastBackend, leaveRoot, type Ending } from '../damage/support/left-root.js'
import { expectUnaffected, openDamaged } from '../damage/support/open-damaged.js'
import { openRecorded, showStore, type Shown } from '../damage/support/shown.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { Random } from '../durability/support/random.js'
import { forSeeds } from '../durability/support/settings.js'

const YEAR = 365 * 24 * 3600 * 1000
const TODAY = 1_763_800_000_000

let nowMs = TODAY
beforeEach(() => {
  nowMs = TODAY
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => nowMs)
  onTestFinished(() => clock.mockRestore())
})

/** Before 1970, with fractions, none at all, behind what a file system or 32 bits can hold. */
const CLOCKS: readonly (readonly [string, number])[] = [
  ['1970', 0],
  ['before 1970', -3 * YEAR - 1],
  ['a fraction', TODAY + 0.123],
  ['no number', Number.NaN],
  ['no end', Number.POSITIVE_INFINITY],
  ['2038', 2 ** 31 * 1000 + 999],
  ['2106', 2 ** 32 * 1000 + 1],
  ['2446', 15_032_385_536_000],
  ['the last that a Date can hold', 8.64e15],
]

function times(root: string, key: string): { readonly writerAtS: number; readonly writtenAtMs: number } {
  const metadata = parseMetadata(readFileSync(join(root, 'n/.agent_state_meta', `${key}.json`)))
  expect(metadata?.own, 'the metadata is the store’s own').not.toBeNull()
  return { writerAtS: metadata!.writerAtS!, writtenAtMs: metadata!.own!.writtenAtMs }
}

describe.each(CLOCKS)('a clock that says %s', (_, atMs) => {
  test('gives entries that are our own at the next opening, and times that can be written down', async () => {
    const root = temporaryDirectory()
    nowMs = atMs
    const store = await openStore({ backend: fastBackend(root) })
    const session = await store.init('n', { writer: { writerId: 'ada' } })
    await session.write('k', 'value')
    await session.writeHandoff({ done: true })
    const { updatedAtMs } = (await session.stat('k'))!
    expect(updatedAtMs).toSatisfy(Number.isSafeInteger)
    expect((await session.readHandoff())!.written_at).toBe(Math.floor(updatedAtMs / 1000))
    await store.close()
    expect(times(root, 'k')).toEqual({ writerAtS: Math.floor(updatedAtMs / 1000), writtenAtMs: updatedAtMs })
    const again = await openRecorded(fastBackend(root))
    onTestFinished(() => again.store.close())
    const found = await (await again.store.resume('n')).entry('k')
    expect(found).toMatchObject({ external: false, updatedAtMs, writer: { writerId: 'ada' } })
    expect([again.external, again.warnings]).toEqual([[], []])
  })
})

describe('a clock that goes back', () => {
  test('I3: does not take revisions back, nor the order of writes, in memory and in the tree', async () => {
    const root = temporaryDirectory()
    const store = await openStore({ backend: fastBackend(root) })
    const session = await store.init('n', { writer: { writerId: 'ada' } })
    const revisions: number[] = []
    for (const [index, years] of [0, 10, -40, 3, -20].entries()) {
      nowMs = TODAY + years * YEAR
      revisions.push((await session.write('k', `${index}`, { durability: 'tree' })).revision)
      expect(readFileSync(join(root, 'n/k'), 'utf8')).toBe(`${index}`)
      expect(await session.read('k')).toBe(`${index}`)
      expect((await session.stat('k'))!.updatedAtMs).toBe(nowMs)
    }
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
    expect(new Set(revisions).size).toBe(5)
    await store.close()
    expect(times(root, 'k').writtenAtMs).toBe(TODAY - 20 * YEAR)
  })

  test('a conflict is found by revisions, whatever the times are', async () => {
    const store = await openStore({ backend: fastBackend(temporaryDirectory()) })
    onTestFinished(() => store.close())
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map((writerId) => store.init('n', { writer: { writerId }, conflictPolicy: 'error' })),
    )
    await ada!.write('k', '1')
    nowMs -= 30 * YEAR
    await refusal('CONFLICT', () => bob!.write('k', '2'))
    await bob!.read('k')
    await bob!.write('k', '2')
    nowMs += 60 * YEAR
    await refusal('CONFLICT', () => ada!.write('k', '3'))
  })

  test('a watch of the past goes by revisions', async () => {
    const store = await openStore({ backend: fastBackend(temporaryDirectory()) })
    onTestFinished(() => store.close())
    const session = await store.init('n')
    const { revision } = await session.write('a', '1')
    const keys: string[] = []
    for (const years of [-30, 30, -10]) {
      nowMs = TODAY + years * YEAR
      await session.write(`k${years}`, '')
    }
    for await (const item of session.watch({ afterRevision: revision })) {
      if (item.type !== 'ready') keys.push(item.key)
      if (keys.length === 3) break
    }
    expect(keys).toEqual(['k-30', 'k30', 'k-10'])
  })
})

/** Every change at another time. */
async function work(store: Store, random: Random, changes: number): Promise<void> {
  const keys = ['a', 'b', 'c/d', 'c/e']
  for (let index = 0; index < changes; index++) {
    nowMs = TODAY + Math.floor((random.next() - 0.5) * 60 * YEAR)
    const session = await store.init(random.pick(['n', 'm']), {
      writer: { writerId: random.pick(['x', 'y']) },
    })
    const key = random.pick(keys)
    if (random.chance(0.2)) await session.delete(key)
    else await session.write(key, `${index} `.repeat(random.between(1, 2000)))
  }
}

describe('a clock that jumps by decades with every change', () => {
  test.each<Ending>(['killed', 'killed at once', 'closed with a backlog', 'closed'])(
    'I1, I6: after the store was %s everything is as it was shown, at whatever time it is opened',
    (ending) =>
      forSeeds(`clock, ${ending}`, async (seed) => {
        const random = new Random(seed)
        const left = await leaveRoot(
          ending,
          (store) => work(store, random, 10),
          (store) => work(store, random, 20),
        )
        for (const years of [-50, 0, 50]) {
          nowMs = TODAY + years * YEAR
          expectUnaffected(await openDamaged(left.copy()), left)
        }
      }),
  )

  test('I3: revisions grow from opening to opening', () =>
    forSeeds('clock, openings', async (seed) => {
      const random = new Random(seed)
      const root = temporaryDirectory()
      let highest = 0
      let before: Shown = {}
      for (let opening = 0; opening < 5; opening++) {
        const store = await openStore({ backend: fastBackend(root) })
        expect(await showStore(store)).toEqual(before)
        await work(store, random, 10)
        nowMs = TODAY + Math.floor((random.next() - 0.5) * 60 * YEAR)
        const { revision } = await (await store.init('last')).write('k', `${opening}`)
        expect(revision).toBeGreaterThan(highest)
        highest = revision
        before = await showStore(store)
        await store.close({ flush: random.chance(0.5) })
      }
    }))
})

test('no time-out and no order hangs on a clock that can be set', () => {
  const users: string[] = []
  const folder = fileURLToPath(new URL('../../src', import.meta.url))
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || /^(?:replay|cli|archive|contract|bench)\//.test(name)) continue
    if (/Date\.now|new Date\b|Date\(/.test(readFileSync(join(folder, name), 'utf8'))) users.push(name)
  }
  // What is written down, and since when the root is owned, for the message of the one that is refused.
  expect(users.sort()).toEqual(['backend/file/root-lock.ts', 'clock.ts'])
})
