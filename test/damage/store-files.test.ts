/**
 * Damage at rest in the store's own small files: format, checkpoint and lock, after a clean end and after one with a
 * backlog. Proven: opening either shows exactly what was there, or fails with an error that names the file, having changed
 * nothing, and works again once the file is repaired. A checkpoint stands damage to one of its two copies; what the lock
 * file says is never believed.
 *
 * Not covered: a checkpoint that was replaced by an older one of the same store, as a restored backup would.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { backendOn } from '../durability/support/in-thread.js'
import { Random } from '../durability/support/random.js'
import { forSeeds, tortureSettings } from '../durability/support/settings.js'
import { damageFile, flipBit, truncateTo, zeros } from './support/damage-bytes.js'
import { leaveRoot, type LeftRoot } from './support/left-root.js'
import {
  expectRefused,
  expectRepairable,
  expectUnaffected,
  openDamaged,
  type Outcome,
} from './support/open-damaged.js'
import { showDisk } from './support/shown.js'
import { writeEarly, writeLate } from './support/workloads.js'

const isLong = tortureSettings().isLong
/** Of a slot of the checkpoint. */
const SLOT_BYTES = 4096
const SLOT_USED_BYTES = 88

const own = (root: string, name: string): string => `${root}/.agent_state/${name}`

const OTHER_KINDS: readonly (readonly [string, (path: string) => void])[] = [
  ['a directory', (path) => mkdirSync(path)],
  ['a symlink to another file', (path) => symlinkSync('/etc/passwd', path)],
  ['a symlink to nothing', (path) => symlinkSync('/nothing', path)],
  ['a symlink to itself', (path) => symlinkSync(path, path)],
  ['a FIFO', (path) => execFileSync('mkfifo', [path])],
  ['a device', (path) => execFileSync('mknod', [path, 'c', '1', '5'])],
]

describe.each(['closed', 'killed'] as const)('the files of a store that was %s', (ending) => {
  let left: LeftRoot

  beforeEach(async () => {
    left = await leaveRoot(ending, writeEarly, ending === 'closed' ? undefined : writeLate)
  })

  async function damaged(change: (root: string) => void): Promise<{ root: string; outcome: Outcome }> {
    const root = left.copy()
    change(root)
    return { root, outcome: await openDamaged(root) }
  }

  test('format: any flipped bit is refused, or changes nothing of what it says', () =>
    forSeeds('format', async (seed) => {
      const random = new Random(seed)
      const bytes = readFileSync(own(left.copy(), 'format'))
      const said = JSON.parse(bytes.toString()) as unknown
      const bits = random.shuffled(Array.from({ length: bytes.length * 8 }, (_, bit) => bit))
      let refused = 0
      let root = left.copy()
      for (const bit of isLong ? bits : bits.slice(0, 60)) {
        damageFile(own(root, 'format'), flipBit(bit))
        const outcome = await openDamaged(root)
        if (outcome.kind === 'opened') {
          expectUnaffected(outcome, left)
          expect(JSON.parse(readFileSync(own(root, 'format'), 'utf8'))).toEqual(said)
          root = left.copy()
        } else {
          expect(outcome.error.message).toContain(root)
          expect(['METADATA_CORRUPT', 'FORMAT_TOO_NEW']).toContain(outcome.error.code)
          refused++
          damageFile(own(root, 'format'), flipBit(bit))
        }
      }
      await expectRepairable(root, left)
      expect(refused).toBeGreaterThan(30)
    }))

  test('format: missing, cut off or of another kind it is refused, so that no journal is taken for a new store’s', async () => {
    const size = readFileSync(own(left.copy(), 'format')).length
    const changes: ((path: string) => void)[] = [
      (path) => rmSync(path),
      ...[0, 1, size / 2, size - 3].map((end) => (path: string) => damageFile(path, truncateTo(end))),
      ...OTHER_KINDS.map(([, replace]) => (path: string) => {
        rmSync(path)
        replace(path)
      }),
    ]
    for (const change of changes) {
      const { root, outcome } = await damaged((copy) => change(own(copy, 'format')))
      expectRefused(outcome, { code: 'METADATA_CORRUPT', path: own(root, 'format') })
      await expectRepairable(root, left)
    }
  })

  test('checkpoint: damage to one of its copies does not matter', () =>
    forSeeds('one slot', async (seed) => {
      const random = new Random(seed)
      for (const slot of [0, SLOT_BYTES]) {
        const bits = random.shuffled(Array.from({ length: SLOT_USED_BYTES * 8 }, (_, bit) => slot * 8 + bit))
        for (const bit of isLong ? bits : bits.slice(0, 8)) {
          const { outcome } = await damaged((copy) => damageFile(own(copy, 'checkpoint'), flipBit(bit)))
          expectUnaffected(outcome, left)
        }
        const { outcome } = await damaged((copy) =>
          damageFile(own(copy, 'checkpoint'), zeros(slot, slot + SLOT_BYTES)),
        )
        expectUnaffected(outcome, left)
      }
    }))

  test('checkpoint: damage to both of its copies is refused', () =>
    forSeeds('both slots', async (seed) => {
      const random = new Random(seed)
      for (let round = 0; round < (isLong ? 500 : 10); round++) {
        const { root, outcome } = await damaged((copy) => {
          for (const slot of [0, SLOT_BYTES]) {
            const bit = slot * 8 + random.below(SLOT_USED_BYTES * 8)
            damageFile(own(copy, 'checkpoint'), flipBit(bit))
          }
        })
        expectRefused(outcome, { code: 'METADATA_CORRUPT', path: own(root, 'checkpoint') })
        if (round % 10 === 0) await expectRepairable(root, left)
      }
    }))

  test('checkpoint: missing, cut off, of another kind or of another store it is refused', async () => {
    const other = await leaveRoot('closed', writeEarly)
    const checkpoint = readFileSync(own(other.copy(), 'checkpoint'))
    const changes: ((path: string) => void)[] = [
      (path) => rmSync(path),
      (path) => writeFileSync(path, checkpoint),
      ...[0, 1, SLOT_USED_BYTES - 1].map((end) => (path: string) => damageFile(path, truncateTo(end))),
      ...OTHER_KINDS.map(([, replace]) => (path: string) => {
        rmSync(path)
        replace(path)
      }),
    ]
    for (const change of changes) {
      const { root, outcome } = await damaged((copy) => change(own(copy, 'checkpoint')))
      expectRefused(outcome, { code: 'METADATA_CORRUPT', path: own(root, 'checkpoint') })
      await expectRepairable(root, left)
    }
    const { outcome } = await damaged((copy) =>
      damageFile(own(copy, 'checkpoint'), truncateTo(SLOT_USED_BYTES)),
    )
    expectUnaffected(outcome, left)
  })

  test('what is missing of tmp, preserved and the ignore file is made again or not needed', async () => {
    const { outcome } = await damaged((root) => {
      for (const name of ['tmp', 'preserved', '.gitignore', 'lock'])
        rmSync(own(root, name), { recursive: true })
    })
    expectUnaffected(outcome, left)
  })

  test('what lies in tmp is nobody’s state', async () => {
    const { root, outcome } = await damaged((copy) => {
      for (const name of ['x', 'checkpoint', 'format'])
        writeFileSync(own(copy, `tmp/${name}`), 'left by a crash')
      mkdirSync(own(copy, 'tmp/directory'))
      execFileSync('mkfifo', [own(copy, 'tmp/fifo')])
      symlinkSync('/etc/passwd', own(copy, 'tmp/symlink'))
    })
    expectUnaffected(outcome, left)
    expect(
      readdirSync(own(root, 'tmp')).filter((name) => ['x', 'checkpoint', 'format'].includes(name)),
    ).toEqual([])
    expect(readFileSync('/etc/passwd').length).toBeGreaterThan(0)
  })
})

describe('the lock file', () => {
  const CONTENTS: readonly (readonly [string, string | Buffer])[] = [
    ['nothing', ''],
    ['an owner that is gone', '{"pid":1,"host":"elsewhere","since":1}\n'],
    ['this very process', JSON.stringify({ pid: process.pid, host: 'elsewhere', since: 5 })],
    ['no JSON', '{"pid":'],
    ['no object', 'null'],
    ['bytes that are no text', Buffer.alloc(100_000, 0xff)],
    ['nonsense', '{"pid":-5,"host":7,"since":"x"}'],
  ]

  test.each(CONTENTS)(
    'that says %s is no reason not to open, and the root is free again afterwards',
    async (_, content) => {
      const left = await leaveRoot('closed', writeEarly)
      const root = left.copy()
      writeFileSync(own(root, 'lock'), content)
      for (let round = 0; round < 2; round++) await (await openStore({ backend: backendOn(root) })).close()
    },
  )

  test.each(CONTENTS)(
    'that was made to say %s while a store is open does not let another one in',
    async (_, content) => {
      const left = await leaveRoot('closed', writeEarly)
      const root = left.copy()
      const store = await openStore({ backend: backendOn(root) })
      onTestFinished(() => store.close())
      writeFileSync(own(root, 'lock'), content)
      const error = await refusal('STORE_OWNED', () => openStore({ backend: backendOn(root) }))
      expect(error).toMatchObject({ outcome: 'unchanged', retryable: true })
      const session = await store.resume('agent')
      expect(await session.read('kept')).toBe('was there before')
    },
  )

  test.each(OTHER_KINDS)(
    'with %s in its place is refused, nothing is changed, and the way is free once that is gone',
    async (_, replace) => {
      const left = await leaveRoot('closed', writeEarly)
      const root = left.copy()
      const lock = own(root, 'lock')
      rmSync(lock)
      replace(lock)
      const before = showDisk(root)
      const error = await refusal('ROOT_UNUSABLE', () => openStore({ backend: backendOn(root) }))
      expect(error).toMatchObject({ path: lock, outcome: 'unchanged' })
      expect(showDisk(root)).toEqual(before)
      rmSync(lock, { recursive: true })
      await (await openStore({ backend: backendOn(root) })).close()
    },
  )

  test('an opening that was refused for damage has let go of the root, as others see it', async () => {
    const left = await leaveRoot('killed', writeEarly, writeLate)
    const root = left.copy()
    damageFile(own(root, 'checkpoint'), zeros(0, 2 * SLOT_BYTES))
    await refusal('METADATA_CORRUPT', () => openStore({ backend: backendOn(root) }))
    left.repair(root, '.agent_state/checkpoint')
    await (await openStore({ backend: backendOn(root) })).close()
  })
})
