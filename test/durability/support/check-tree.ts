/** What the files of a root may show: before recovery whole values only (I5), afterwards what the journal says (I6). */
import { expect } from 'vitest'
import { crc32 } from 'node:zlib'
import { firstMetadataPath, secondMetadataPath } from '../../../src/backend/file/layout.js'
import { parseMetadata } from '../../../src/backend/file/metadata.js'
import { META_DIRECTORY } from '../../../src/names.js'
import type { BareTree } from './bare-tree.js'
import type { History, NamespaceState } from './history.js'

/** I5: each path holds a value that was once asked for, whole, and each metadata file is a whole one. */
export function checkWholeFiles(tree: BareTree, history: History): void {
  for (const [path, content] of tree.files) {
    const slash = path.indexOf('/')
    const namespace = path.slice(0, slash)
    const key = path.slice(slash + 1)
    if (key.startsWith(`${META_DIRECTORY}/`)) {
      expect(
        parseMetadata(content),
        `I5: metadata at ${path} is not whole: ${content.toString()}`,
      ).not.toBeNull()
      continue
    }
    const isWhole = history.values(namespace, key).has(content.toString())
    if (!isWhole) throw new Error(`I5: ${path} holds what nobody wrote: ${describeContent(content)}`)
  }
}

/**
 * What was acknowledged with durability 'tree', flushed or closed is in the files, or something later: also after a power
 * cut, before any recovery.
 */
export function checkTreePromises(tree: BareTree, history: History): void {
  for (const namespace of history.namespaces) {
    for (const key of history.keys(namespace)) {
      const allowed = history.shownInTree(namespace, key)
      const content = tree.files.get(`${namespace}/${key}`)
      if (allowed === undefined || allowed.has(content?.toString() ?? null)) continue
      throw new Error(
        `${namespace}/${key} was said to be in the tree, but its file holds ${describeContent(content)}`,
      )
    }
  }
}

/** I6: the tree shows these namespaces and nothing else, and nothing is left on its way. */
export function checkSettledTree(
  tree: BareTree,
  states: ReadonlyMap<string, NamespaceState>,
  mayPreserve = false,
): void {
  checkFiles(tree, states)
  const left = [...tree.own].filter((path) => (mayPreserve ? /^tmp\// : /^(tmp|preserved)\//).test(path))
  expect(left, 'files that are left on their way').toEqual([])
}

/** As `checkSettledTree`; what is left on its way, in the store's own directory, is not looked at. */
export function checkFiles(tree: BareTree, states: ReadonlyMap<string, NamespaceState>): void {
  const expected = new Set<string>()
  for (const [namespace, { exists, keys }] of states) {
    expect(tree.directories.has(namespace), `the directory of ${namespace} is there`).toBe(exists)
    for (const [key, { value, writer, unit }] of keys) {
      const path = `${namespace}/${key}`
      expected.add(path)
      const content = tree.files.get(path)
      if (content?.toString() !== value) {
        throw new Error(`I6: ${path} should show ${unit.toString()}, but holds ${describeContent(content)}`)
      }
      expected.add(checkMetadata(tree, namespace, key, content, { writer, revision: unit.revision }))
    }
  }
  const unexpected = [...tree.files.keys()].filter((path) => !expected.has(path))
  expect(unexpected, 'I6: files that nothing in the journal says anything of').toEqual([])
}

/** Returns the path of the metadata. */
function checkMetadata(
  tree: BareTree,
  namespace: string,
  key: string,
  content: Buffer,
  { writer, revision }: { readonly writer: string | null; readonly revision: number | null },
): string {
  const places = [firstMetadataPath('', namespace, key), secondMetadataPath('', namespace, key)]
  const found = places.map((place) => place.slice(1)).filter((place) => tree.files.has(place))
  const [path] = found
  if (path === undefined || found.length > 1) {
    throw new Error(`I6: ${namespace}/${key} has ${found.length} metadata files`)
  }
  const metadata = parseMetadata(tree.files.get(path)!)
  const shown = {
    writer: metadata?.writer?.writerId ?? null,
    revision: metadata?.own?.revision,
    size: metadata?.own?.size,
    crc: metadata?.own?.crc,
  }
  expect(shown, `I6: the metadata of ${namespace}/${key}`).toEqual({
    writer,
    revision: revision ?? shown.revision,
    size: content.length,
    crc: crc32(content),
  })
  return path
}

function describeContent(content: Buffer | undefined): string {
  if (content === undefined) return 'nothing'
  return `${content.length} bytes: ${JSON.stringify(content.toString('latin1', 0, 60))}`
}
