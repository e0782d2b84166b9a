import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  differences,
  EMPTY_TREE,
  filesInTheWay,
  filesOf,
  findFile,
  TreeEdit,
  type Tree,
  type Version,
} from '../../src/replay/history-tree.js'
import { InputError } from '../../src/replay/input-error.js'
import type { FileKind } from '../../src/replay/trace.js'

function version(blob: number, kind: FileKind = 'file', commit = 0): Version {
  return { content: { kind, blob, size: 1 }, commit, author: 'a' }
}

function treeOf(files: Readonly<Record<string, number>>): Tree {
  const edit = new TreeEdit(EMPTY_TREE)
  for (const [path, blob] of Object.entries(files)) edit.write(path, version(blob))
  return edit.done()
}

function blobsOf(tree: Tree): Record<string, unknown> {
  return Object.fromEntries(Array.from(filesOf(tree), ([path, { content }]) => [path, content.blob]))
}

describe('a tree', () => {
  test('finds files, not folders and not what is below a file', () => {
    const tree = treeOf({ 'a/b/c': 1, d: 2 })
    expect(findFile(tree, 'a/b/c')?.content.blob).toBe(1)
    expect(findFile(tree, 'd')?.content.blob).toBe(2)
    for (const path of ['a', 'a/b', 'd/e', 'a/b/c/d', 'x']) expect(findFile(tree, path)).toBeUndefined()
  })

  test('is not changed by an edit made from it', () => {
    const tree = treeOf({ 'a/b': 1, 'a/c': 2, d: 3 })
    const edit = new TreeEdit(tree)
    edit.write('a/b', version(9))
    edit.delete('d')
    edit.write('e/f', version(8))
    expect(blobsOf(edit.done())).toEqual({ 'a/b': 9, 'a/c': 2, 'e/f': 8 })
    expect(blobsOf(tree)).toEqual({ 'a/b': 1, 'a/c': 2, d: 3 })
  })

  test('shares the folders that an edit did not touch', () => {
    const tree = treeOf({ 'a/b': 1, 'c/d': 2 })
    const edit = new TreeEdit(tree)
    edit.write('a/b', version(3))
    const edited = edit.done()
    expect(edited.get('c')).toBe(tree.get('c'))
    expect(edited.get('a')).not.toBe(tree.get('a'))
  })

  test('loses a folder with its last file', () => {
    const edit = new TreeEdit(treeOf({ 'a/b/c': 1, d: 2 }))
    expect(edit.delete('a/b/c')).toBe(true)
    expect(edit.delete('a/b/c')).toBe(false)
    expect(edit.delete('a')).toBe(false)
    const tree = edit.done()
    expect([...tree.keys()]).toEqual(['d'])
  })

  test('refuses a path that would be file and folder', () => {
    const edit = new TreeEdit(treeOf({ a: 1, 'b/c': 2 }))
    expect(() => edit.write('a/b', version(3))).toThrow(InputError)
    expect(() => edit.write('b', version(3))).toThrow('"b" would be a file and a folder')
  })

  test('names the files that are in the way of a path', () => {
    const tree = treeOf({ 'a/b': 1, 'c/d/e': 2, 'c/f': 3, g: 4 })
    expect(filesInTheWay(tree, 'a/b/x')).toEqual(['a/b'])
    expect(filesInTheWay(tree, 'g/x/y')).toEqual(['g'])
    expect(filesInTheWay(tree, 'c')).toEqual(['c/d/e', 'c/f'])
    expect(filesInTheWay(tree, 'c/f')).toEqual([])
    expect(filesInTheWay(tree, 'new/x')).toEqual([])
  })

  test('treats a prefix that is no folder as something else', () => {
    const tree = treeOf({ 'ab/c': 1, 'a-b': 2 })
    expect(filesInTheWay(tree, 'a')).toEqual([])
    expect(filesInTheWay(tree, 'a/b')).toEqual([])
  })

  test('takes names that objects have for ordinary ones', () => {
    const tree = treeOf({ '__proto__/constructor': 1, constructor: 2 })
    expect(Array.from(filesOf(tree), ([path]) => path)).toEqual(['__proto__/constructor', 'constructor'])
    expect(findFile(tree, 'toString')).toBeUndefined()
  })
})

describe('differences', () => {
  test('are none between a tree and itself, or one with equal contents by another commit', () => {
    const tree = treeOf({ 'a/b': 1 })
    const edit = new TreeEdit(EMPTY_TREE)
    edit.write('a/b', version(1, 'executable', 7))
    expect([...differences(tree, tree)]).toEqual([])
    expect([...differences(tree, edit.done())]).toEqual([])
  })

  test('tell a submodule from a file whose blob has the same name', () => {
    const edit = new TreeEdit(EMPTY_TREE)
    edit.write('a', version(1, 'submodule'))
    expect([...differences(treeOf({ a: 1 }), edit.done())]).toHaveLength(1)
  })

  test('name what is gone and what is new where a file became a folder', () => {
    const found = [...differences(treeOf({ a: 1, 'b/c': 2 }), treeOf({ 'a/x': 3, b: 4 }))]
    expect(
      found.map(({ path, from, to }) => [path, from?.content.blob ?? null, to?.content.blob ?? null]),
    ).toEqual([
      ['a', 1, null],
      ['a/x', null, 3],
      ['b/c', 2, null],
      ['b', null, 4],
    ])
  })

  test('turn any tree into any other', () => {
    const anyTree = fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c/a', 'c/b', 'd/e/f', 'd/e/g', 'd/h'), fc.nat(2)), {
        selector: ([path]) => path,
      })
      .map((files) => treeOf(Object.fromEntries(files)))
    fc.assert(
      fc.property(anyTree, anyTree, (from, to) => {
        const edit = new TreeEdit(from)
        const found = [...differences(from, to)]
        for (const difference of found) if (difference.to === undefined) edit.delete(difference.path)
        for (const { path, to: wanted } of found) if (wanted !== undefined) edit.write(path, wanted)
        expect(blobsOf(edit.done())).toEqual(blobsOf(to))
      }),
    )
  })
})
