import fc from 'fast-check'
import type { Change, Commit } from '../../src/replay/trace.js'

/** Short names, so that files and folders get in each other's way. */
const PATHS = ['a', 'a/b', 'a/b/c', 'a/c', 'b', 'b/a', 'b/a/c', 'c', 'd/x', 'd/y', 'e/x/y', 'e/x']

interface Step {
  readonly parents: readonly number[]
  readonly author: number
  readonly edits: readonly { readonly path: string; readonly blob: number | null }[]
}

const step: fc.Arbitrary<Step> = fc.record({
  parents: fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 3 }),
  author: fc.nat(3),
  edits: fc.uniqueArray(
    fc.record({ path: fc.constantFrom(...PATHS), blob: fc.option(fc.nat(9), { freq: 4 }) }),
    { selector: ({ path }) => path, maxLength: 5 },
  ),
})

/** Histories with branches, merges and several roots. Every commit's tree is possible: no path is file and folder. */
export const anyHistory: fc.Arbitrary<Commit[]> = fc.array(step, { minLength: 1, maxLength: 25 }).map(build)

function build(steps: readonly Step[]): Commit[] {
  const trees: Map<string, number>[] = []
  return steps.map(({ parents: back, author, edits }, index) => {
    // Counted backwards, so that branches are short; what would be before the beginning makes a root.
    const parents = [...new Set(back.map((distance) => index - 1 - distance))].filter((parent) => parent >= 0)
    const tree = new Map(parents[0] === undefined ? [] : trees[parents[0]])
    const changes = new Map<string, number | null>()
    for (const { path, blob } of edits) {
      for (const other of blob === null ? [] : tree.keys()) {
        if (!other.startsWith(`${path}/`) && !path.startsWith(`${other}/`)) continue
        tree.delete(other)
        changes.set(other, null)
      }
      if (blob !== null) tree.set(path, blob)
      else if (!tree.delete(path)) continue
      changes.set(path, blob)
    }
    trees.push(tree)
    const before = parents[0] === undefined ? undefined : trees[parents[0]]
    return { id: index, parents, author, changes: toChanges(changes, before) }
  })
}

/** A file that came and went within the commit was never there. */
function toChanges(
  changes: ReadonlyMap<string, number | null>,
  before?: ReadonlyMap<string, number>,
): Change[] {
  return Array.from(changes, ([path, blob]): Change => {
    return { path, content: blob === null ? null : { kind: 'file', blob, size: blob } }
  }).filter(({ path, content }) => content !== null || before?.has(path) === true)
}
