/**
 * Trees of files that never change: editing one makes another that shares all folders that were not touched. Many trees
 * of a history can therefore be held at once, and comparing two of them skips what they share.
 */
import { InputError } from './input-error.js'
import type { Content } from './trace.js'

/** A content at a path, and who put it there. */
export interface Version {
  readonly content: Content
  /** Index of the commit whose batch wrote it. */
  readonly commit: number
  readonly author: string
}

export type Tree = ReadonlyMap<string, Node>
type Node = Version | Tree

export const EMPTY_TREE: Tree = new Map()

/** Only a submodule's blob means something else than that of the other kinds. */
export function sameContent(one: Content, other: Content): boolean {
  return (
    one.blob === other.blob &&
    one.size === other.size &&
    (one.kind === 'submodule') === (other.kind === 'submodule')
  )
}

export function findFile(tree: Tree, path: string): Version | undefined {
  const node = findNode(tree, path)
  return node === undefined || isFolder(node) ? undefined : node
}

function findNode(tree: Tree, path: string): Node | undefined {
  let node: Node | undefined = tree
  for (const component of path.split('/')) {
    if (node === undefined || !isFolder(node)) return undefined
    node = node.get(component)
  }
  return node
}

function isFolder(node: Node): node is Tree {
  return node instanceof Map
}

/** Files that can't exist beside a file at `path`: one in the place of a folder above it, or all below it. */
export function filesInTheWay(tree: Tree, path: string): string[] {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    const above = path.slice(0, end)
    if (findFile(tree, above) !== undefined) return [above]
  }
  const node = findNode(tree, path)
  return node !== undefined && isFolder(node) ? Array.from(filesOf(node, `${path}/`), ([below]) => below) : []
}

/** All files with their paths. */
export function* filesOf(tree: Tree, prefix = ''): Generator<readonly [string, Version]> {
  for (const [name, node] of tree) {
    if (isFolder(node)) yield* filesOf(node, `${prefix}${name}/`)
    else yield [prefix + name, node]
  }
}

export interface Difference {
  readonly path: string
  readonly from: Version | undefined
  readonly to: Version | undefined
}

/** What must change for the files of `from` to have the contents of `to`. */
export function* differences(from: Tree, to: Tree, prefix = ''): Generator<Difference> {
  if (from === to) return
  for (const [name, node] of from) {
    const other = to.get(name)
    if (other !== node) yield* nodeDifferences(node, other, prefix + name)
  }
  for (const [name, node] of to) {
    if (!from.has(name)) yield* nodeDifferences(undefined, node, prefix + name)
  }
}

function* nodeDifferences(from: Node | undefined, to: Node | undefined, path: string): Generator<Difference> {
  const fromFolder = from !== undefined && isFolder(from)
  const toFolder = to !== undefined && isFolder(to)
  if (!fromFolder && !toFolder) {
    const same = from !== undefined && to !== undefined && sameContent(from.content, to.content)
    if (!same) yield { path, from, to }
    return
  }
  if (from !== undefined && !fromFolder) yield { path, from, to: undefined }
  yield* differences(fromFolder ? from : EMPTY_TREE, toFolder ? to : EMPTY_TREE, `${path}/`)
  if (to !== undefined && !toFolder) yield { path, from: undefined, to }
}

/** Makes a tree from another one. Folders are copied the first time they are touched, then changed in place. */
export class TreeEdit {
  readonly #own = new Set<Node>()
  readonly #root: Map<string, Node>

  constructor(base: Tree) {
    this.#root = this.#copy(base)
  }

  write(path: string, version: Version): void {
    const components = path.split('/')
    const name = components.pop() ?? path
    let folder = this.#root
    for (const component of components) {
      const node = folder.get(component)
      if (node !== undefined && !isFolder(node)) throw impossible(path)
      const next = this.#copy(node ?? EMPTY_TREE)
      folder.set(component, next)
      folder = next
    }
    const replaced = folder.get(name)
    if (replaced !== undefined && isFolder(replaced)) throw impossible(path)
    folder.set(name, version)
  }

  /** Removes a file and the folders that are empty then; false if there was no such file. */
  delete(path: string): boolean {
    if (findFile(this.#root, path) === undefined) return false
    const components = path.split('/')
    const name = components.pop() ?? path
    const folders = [this.#root]
    for (const component of components) {
      const folder = folders[folders.length - 1] ?? this.#root
      const next = this.#copy((folder.get(component) as Tree | undefined) ?? EMPTY_TREE)
      folder.set(component, next)
      folders.push(next)
    }
    folders[folders.length - 1]?.delete(name)
    for (let depth = folders.length - 1; depth > 0 && folders[depth]?.size === 0; depth--) {
      folders[depth - 1]?.delete(components[depth - 1] ?? '')
    }
    return true
  }

  /** The edited tree. The edit must not be used any more. */
  done(): Tree {
    return this.#root
  }

  #copy(folder: Tree): Map<string, Node> {
    if (this.#own.has(folder)) return folder as Map<string, Node>
    const copy = new Map(folder)
    this.#own.add(copy)
    return copy
  }
}

function impossible(path: string): InputError {
  return new InputError(`${JSON.stringify(path)} would be a file and a folder at once`)
}
