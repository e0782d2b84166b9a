/** Roots given in every form: I10 holds for the directory, whatever it is called; and what can't be a root is told. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { openStore as openBuilt, type Store } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { fastBackend } from '../damage/support/left-root.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'

const open = (root: string): Promise<Store> => openStore({ backend: fastBackend(root) })

async function opened(root: string): Promise<Store> {
  const store = await open(root)
  onTestFinished(() => store.close({ flush: false }).catch(() => {}))
  return store
}

async function writeAndRead(root: string): Promise<void> {
  const store = await opened(root)
  await (await store.init('n')).write('k', root, { durability: 'tree' })
  await store.close()
  const again = await opened(root)
  expect(await (await again.resume('n')).read('k')).toBe(root)
  await again.close()
}

/** What the same directory may be called, given a directory with `real/root` in it. */
const SPELLINGS: readonly (readonly [string, (directory: string) => string])[] = [
  ['as it is', (directory) => `${directory}/real/root`],
  ['relative', (directory) => relative(process.cwd(), `${directory}/real/root`)],
  ['with a slash behind it', (directory) => `${directory}/real/root/`],
  ['with many slashes and dots', (directory) => `${directory}//real/./root//./`],
  ['up and down again', (directory) => `${directory}/real/root/../../real/root`],
  [
    'through a symlink to it',
    (directory) => {
      symlinkSync('real/root', `${directory}/link`)
      return `${directory}/link`
    },
  ],
  [
    'through a symlink to a symlink, with a slash behind it',
    (directory) => {
      symlinkSync(`${directory}/real/root`, `${directory}/second`)
      symlinkSync('second', `${directory}/first`)
      return `${directory}/first/`
    },
  ],
  [
    'through a symlink above it',
    (directory) => {
      symlinkSync('real', `${directory}/above`)
      return `${directory}/above/root`
    },
  ],
]

describe.each(SPELLINGS)('a root %s', (_, spell) => {
  test('I10: is the same directory, and noticed to be open', async () => {
    const directory = temporaryDirectory()
    mkdirSync(`${directory}/real/root`, { recursive: true })
    const spelling = spell(directory)
    await writeAndRead(spelling)
    expect(readFileSync(`${directory}/real/root/n/k`, 'utf8')).toBe(spelling)
    for (const [one, other] of [
      [spelling, `${directory}/real/root`],
      [`${directory}/real/root`, spelling],
    ] as const) {
      const store = await opened(one)
      const error = await refusal('STORE_OWNED', () => open(other))
      expect(error).toMatchObject({ sameProcess: true, pid: process.pid })
      await store.close()
    }
  })
})

test.each([
  'with spaces and\ttabs',
  'two\nlines\r\n',
  'ünï/cödé/日本語/🙂',
  '-rf',
  '$HOME `id` $(id) "\'; & | > <',
  '%s %n %00',
  '\\back\\slash',
  '~',
  'file:x?y#z',
  '.hidden',
  '...',
])('a root may be called %j', async (name) => {
  const directory = temporaryDirectory()
  await writeAndRead(`${directory}/${name}`)
  expect(readdirSync(directory)).toEqual([name.split('/')[0]])
})

test('I10: workers of this process, a store with a thread of its own, and this thread are told of each other', async () => {
  const root = temporaryDirectory()
  const [own, local] = [{ ownThread: true }, { ownThread: false }]
  for (const [first, second] of [
    [own, own],
    [own, local],
    [local, own],
  ] as const) {
    const store = await openBuilt({ root, ...first })
    onTestFinished(() => store.close().catch(() => {}))
    await refusal('STORE_OWNED', () => openBuilt({ root, ...second }))
    await refusal('STORE_OWNED', () => open(root))
    await (await store.init('n')).write('k', 'v')
    await store.close()
  }
})

describe('a root that can not be used', () => {
  test('is a clear error that names it, and nothing is made: a file, below a file, a loop, a dangling symlink, a device', async () => {
    const directory = temporaryDirectory()
    writeFileSync(`${directory}/file`, 'mine')
    symlinkSync('loop', `${directory}/loop`)
    symlinkSync('nowhere/at/all', `${directory}/dangling`)
    const before = readdirSync(directory)
    for (const root of ['file', 'file/below', 'loop', 'loop/below', 'dangling'].map((name) =>
      join(directory, name),
    )) {
      const error = await refusal('ROOT_UNUSABLE', () => open(root))
      expect([root.startsWith(error.path), error.outcome]).toEqual([true, 'unchanged'])
    }
    await refusal('ROOT_UNUSABLE', () => open('/dev/null'))
    expect(readdirSync(directory)).toEqual(before)
    expect(readFileSync(`${directory}/file`, 'utf8')).toBe('mine')
  })

  test.skipIf(!existsSync('/proc/version'))('is one where nothing can be written', async () => {
    await refusal('ROOT_UNUSABLE', () => open('/proc/agent-state'))
    await refusal('ROOT_UNUSABLE', () => open('/sys/agent-state'))
  })

  test.each([
    ['name', `/${'n'.repeat(256)}`],
    ['path', '/n'.repeat(2500)],
  ])('is one with a %s that is too long', async (_, end) => {
    const directory = temporaryDirectory()
    await refusal('ROOT_UNUSABLE', () => open(directory + end))
    expect(readdirSync(directory)).toEqual([])
  })
})

test('I7: below the longest root that is taken the longest namespace and key have their files', async () => {
  const directory = temporaryDirectory()
  let root = directory
  while (Buffer.byteLength(root) < 2700 - 256) root += `/${'r'.repeat(255)}`
  root += `/${'r'.repeat(2700 - root.length - 1)}`
  expect(Buffer.byteLength(root)).toBe(2700)
  const store = await opened(root)
  const namespace = 'n'.repeat(200)
  const session = await store.init(namespace)
  const keys = [
    `${'a'.repeat(250)}/${'b'.repeat(250)}/${'c'.repeat(250)}/${'d'.repeat(250)}/${'e'.repeat(20)}`,
    'f/'.repeat(511) + 'gg',
    // The metadata of the first has no place of its own name, where the second needs a directory.
    'x'.repeat(245),
    `${'x'.repeat(245)}.json/${'h'.repeat(250)}`,
  ]
  expect(Buffer.byteLength(keys[0]!)).toBe(1024)
  expect(Buffer.byteLength(keys[1]!)).toBe(1024)
  for (const key of keys) await session.write(key, key, { durability: 'tree' })
  await refusal('LIMIT_EXCEEDED', () => session.write(`${keys[0]}x`, ''))
  await store.close()
  const again = await opened(root)
  const found = await again.resume(namespace)
  for (const key of keys) expect(await found.read(key)).toBe(key)
  for (const key of keys) await found.delete(key, { durability: 'tree' })
  expect(await found.list()).toEqual([])
  await again.remove(namespace)
  await again.close()
  expect(readdirSync(root)).toEqual(['.agent_state'])
  await refusal('ROOT_UNUSABLE', () => open(`${root}r`))
})
