import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openContents } from '../../src/replay/contents.js'
import { generateContent } from '../../src/replay/generated-content.js'
import { EMPTY_TREE, TreeEdit, type Tree } from '../../src/replay/history-tree.js'
import { verifyTree } from '../../src/replay/verify.js'
import { temporaryFolder } from './temporary-folder.js'

const CONTENTS = openContents(null)

function headOf(files: Readonly<Record<string, number>>): Tree {
  const edit = new TreeEdit(EMPTY_TREE)
  for (const [path, blob] of Object.entries(files)) {
    edit.write(path, { content: { kind: 'file', blob, size: 100 }, commit: 0, author: 'a' })
  }
  return edit.done()
}

const HEAD = headOf({ 'x/a/b': 1, 'x/c': 2, README: 3 })

/** A root as the store leaves it. */
async function makeRoot(): Promise<string> {
  const root = await temporaryFolder()
  const put = async (path: string, content: Uint8Array | string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  for (const [path, blob] of [
    ['x/a/b', 1],
    ['x/c', 2],
    ['%root/README', 3],
  ] as const) {
    await put(path, generateContent({ kind: 'file', blob, size: 100 }))
  }
  await put('x/.agent_state_meta/a/b.json', '{}')
  await put('.agent_state/journal/1', 'x')
  await mkdir(join(root, 'empty/folder'), { recursive: true })
  return root
}

async function differencesIn(root: string): Promise<readonly string[]> {
  return (await verifyTree(root, HEAD, CONTENTS)).differences
}

describe('the verification', () => {
  test('agrees with the files of the head, beside which the own folders of the store may be', async () => {
    expect(await verifyTree(await makeRoot(), HEAD, CONTENTS)).toEqual({
      files: 3,
      bytes: 300,
      differences: [],
    })
  })

  test('names a file that is missing', async () => {
    const root = await makeRoot()
    await rm(join(root, 'x/a/b'))
    expect(await differencesIn(root)).toEqual(['x/a/b is missing'])
  })

  test('names a file that should not be there, in a namespace, below one or beside them', async () => {
    const root = await makeRoot()
    await writeFile(join(root, 'x/.hidden'), '')
    await mkdir(join(root, 'x/a/.agent_state_meta'))
    await writeFile(join(root, 'x/a/.agent_state_meta/f'), '')
    await writeFile(join(root, 'f'), '')
    expect([...(await differencesIn(root))].toSorted()).toEqual([
      'f should not be there',
      'x/.hidden should not be there',
      'x/a/.agent_state_meta/f should not be there',
    ])
  })

  test('names a file with one other bit, and one that is too short', async () => {
    const root = await makeRoot()
    const bytes = Buffer.from(generateContent({ kind: 'file', blob: 1, size: 100 }))
    bytes[99]! ^= 1
    await writeFile(join(root, 'x/a/b'), bytes)
    await writeFile(join(root, 'x/c'), bytes.subarray(0, 50))
    expect([...(await differencesIn(root))].toSorted()).toEqual([
      'x/a/b has other bytes',
      'x/c has 50 bytes, not 100',
    ])
  })

  test('names a link, also one to the right content, and does not follow it', async () => {
    const root = await makeRoot()
    await rm(join(root, 'x/c'))
    await writeFile(join(root, '.agent_state/c'), generateContent({ kind: 'file', blob: 2, size: 100 }))
    await symlink(join(root, '.agent_state/c'), join(root, 'x/c'))
    await symlink(root, join(root, 'x/loop'))
    expect([...(await differencesIn(root))].toSorted()).toEqual([
      'x/c is not a regular file',
      'x/loop should not be there',
    ])
  })

  test('fails when it can not look', async () => {
    await expect(verifyTree(join(await temporaryFolder(), 'none'), HEAD, CONTENTS)).rejects.toThrow('ENOENT')
  })
})
