import { InputError } from './input-error.js'
import type { Commit, Identifier } from './trace.js'

/**
 * What must be known of a history before its first commit can be replayed. It grows with the number of commits, by one
 * entry each; everything larger is read commit by commit.
 */
export interface Outline {
  readonly commits: number
  readonly merges: number
  readonly authors: number
  /** How many commits have this one as a parent: its tree is needed until the last of them. */
  readonly children: ReadonlyMap<Identifier, number>
}

export async function readOutline(commits: AsyncIterable<Commit>): Promise<Outline> {
  const children = new Map<Identifier, number>()
  const authors = new Set<Identifier>()
  let merges = 0
  for await (const { id, parents, author } of commits) {
    if (children.has(id)) throw new InputError(`commit ${id} occurs twice`)
    for (const parent of parents) {
      const known = children.get(parent)
      if (known === undefined) throw new InputError(`commit ${id} comes before its parent ${parent}`)
      children.set(parent, known + 1)
    }
    children.set(id, 0)
    authors.add(author)
    if (parents.length > 1) merges += 1
  }
  if (children.size === 0) throw new InputError('the history has no commits')
  return { commits: children.size, merges, authors: authors.size, children }
}
