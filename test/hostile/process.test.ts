/**
 * A process that is short of everything: few file descriptors, a small heap; and one that changes its directory and its umask
 * while a store is open.
 *
 * Not covered: what Node itself needs. It loads the package with some eighty descriptors, and ends without a word where it can't
 * have memory. Nor a umask that takes its own files from the process.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { openStore, shareStore } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { collect } from '../../src/contract/observe.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'
import { startChild } from './support/child.js'

const isLong = tortureSettings().isLong
const canLimitFiles = existsSync('/proc/self/fd') && spawnSync('prlimit', ['--version']).status === 0

async function linesOf(script: string, args: readonly string[], nodeArgs: readonly string[] = []) {
  const child = startChild(script, args, nodeArgs)
  const lines: string[] = []
  for await (const line of child.lines) lines.push(line)
  return { lines, end: await child.ended }
}

describe.skipIf(!canLimitFiles)('I9: file descriptors', () => {
  const count = isLong ? 1000 : 150
  const namespaces = String(count)

  test(`ninety-six are enough for ${namespaces} namespaces that are written, watched and read at once`, async () => {
    const { lines, end } = await linesOf('few-descriptors.mjs', [temporaryDirectory(), namespaces, '96'])
    expect(lines).toEqual(['works', 'left open 0'])
    expect(end).toEqual({ code: 0, signal: null })
  })

  test.each(isLong ? [36, 34, 32, 30, 28, 26, 24, 22, 20] : [33, 28, 22])(
    'I8: where even %i are not to be had there is an error, nothing is left open, and the root is as good as before',
    async (descriptors) => {
      const root = temporaryDirectory()
      const { lines, end } = await linesOf('few-descriptors.mjs', [root, namespaces, `${descriptors}`])
      expect(lines).toHaveLength(2)
      expect(lines[0]).toMatch(
        /^works$|^failed (?:READ_FAILED|ROOT_UNUSABLE|NO_SPACE|TREE_STUCK|CLOSE_INCOMPLETE)$/,
      )
      expect(lines[1]).toBe('left open 0')
      expect(end).toEqual({ code: 0, signal: null })
      const store = await openStore({ root })
      onTestFinished(() => store.close())
      for await (const namespace of store.namespaces()) {
        const session = await store.resume(namespace)
        for (const { value } of await collect(session.entries())) expect(value).toEqual(Uint8Array.of(118))
      }
    },
  )
})

test('I9: a small heap is enough, whatever is written, remembered, watched and never read', async () => {
  const [heapMib, writtenMib] = isLong ? [48, 2000] : [32, 80]
  const args = [temporaryDirectory(), String(writtenMib)]
  const { lines, end } = await linesOf('little-memory.mjs', args, [`--max-old-space-size=${heapMib}`])
  expect(end).toEqual({ code: 0, signal: null })
  expect(lines.at(-1)).toBe('closed')
  const { changes, taken, watches, rssMib } = JSON.parse(lines[0]!)
  expect({ changes, taken, watches }).toEqual({
    changes: (writtenMib * 1024) / 16,
    taken: 100,
    watches: ['WATCH_OVERFLOW'],
  })
  expect(rssMib).toBeLessThan(400)
})

test('a root that was given as a relative path stays where it was when the process changes its directory', async () => {
  const [directory, elsewhere] = [temporaryDirectory(), temporaryDirectory()]
  const before = process.cwd()
  onTestFinished(() => process.chdir(before))
  process.chdir(directory)
  for (const ownThread of [false, true]) {
    const store = await openStore({ root: './root', ownThread })
    const session = await store.init(`n-${ownThread}`)
    await session.write('a', '1', { durability: 'tree' })
    process.chdir(elsewhere)
    // Enough for further segments.
    for (let count = 0; count < 6; count++) await session.write('large', 'x'.repeat(2 ** 20))
    await session.write('b', '2', { durability: 'tree' })
    expect(await session.list()).toEqual(['a', 'b', 'large'])
    await store.close()
    process.chdir(directory)
    expect(readFileSync(`root/n-${ownThread}/b`, 'utf8')).toBe('2')
  }
  expect(existsSync(`${elsewhere}/root`)).toBe(false)
})

test('the next owner of a root that was shared by a relative path has the same root', async () => {
  const [directory, elsewhere] = [temporaryDirectory(), temporaryDirectory()]
  const before = process.cwd()
  onTestFinished(() => process.chdir(before))
  process.chdir(directory)
  const owner = await openStore({ root: './root', workers: 1 })
  const shared = await shareStore({ root: './root', workers: 1 })
  onTestFinished(() => shared.close())
  await (await owner.init('n')).write('k', 'v')
  process.chdir(elsewhere)
  await owner.close()
  expect(await (await shared.resume('n')).read('k')).toBe('v')
  expect(existsSync(`${elsewhere}/root`)).toBe(false)
})

test('a umask that is changed while a store is open lets nobody in who was not let in before', async () => {
  const root = temporaryDirectory()
  const before = process.umask(0o077)
  onTestFinished(() => void process.umask(before))
  const store = await openStore({ root })
  onTestFinished(() => store.close())
  for (const umask of [0o000, 0o022, 0o007]) {
    process.umask(umask)
    const session = await store.init(`n${umask}`)
    await session.write('deep/k', 'v', { durability: 'tree' })
    for (const path of [
      '',
      '/deep',
      '/deep/k',
      '/.agent_state_meta/deep',
      '/.agent_state_meta/deep/k.json',
    ]) {
      const { mode } = statSync(`${root}/n${umask}${path}`)
      expect(mode & 0o077, `${path} under ${umask.toString(8)}`).toBe(0)
    }
    expect(await session.read('deep/k')).toBe('v')
  }
})
