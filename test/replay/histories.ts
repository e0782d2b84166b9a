import type { Change, Commit, FileKind, Identifier } from '../../src/replay/trace.js'

/** Paths and the numbers of their blobs; null: deleted. */
export type Files = Readonly<Record<string, number | null>>

const SIZE = 10

export function commit(
  id: Identifier,
  parents: readonly Identifier[],
  author: Identifier,
  files: Files,
  kind: FileKind = 'file',
): Commit {
  const changes = Object.entries(files).map(([path, blob]): Change => {
    return { path, content: blob === null ? null : { kind, blob, size: SIZE } }
  })
  return { id, parents, author, changes }
}

export async function* inOrder<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

/** The trees of a history's commits, worked out the plain way. */
export function plainTrees(commits: readonly Commit[]): Map<Identifier, Map<string, Identifier>> {
  const trees = new Map<Identifier, Map<string, Identifier>>()
  for (const { id, parents, changes } of commits) {
    const first = parents[0]
    const tree = new Map(first === undefined ? [] : trees.get(first))
    for (const { path, content } of changes) if (content === null) tree.delete(path)
    for (const { path, content } of changes) if (content !== null) tree.set(path, content.blob)
    trees.set(id, tree)
  }
  return trees
}
