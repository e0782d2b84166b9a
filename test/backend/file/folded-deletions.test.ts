import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FoldedDeletions } from '../../../src/backend/file/folded-deletions.js'

const fold = (name: string): string => name.toLowerCase()
const component = fc.constantFrom('a', 'A', 'b', 'B')
const key = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))

/** Whether the two have a path in common, of the key or a directory above it, that they spell differently. */
function meets(one: string, other: string): boolean {
  const theirs = other.split('/')
  return one.split('/').some((_, index) => {
    const [mine, their] = [one, other].map((path) => path.split('/', index + 1).join('/')) as [string, string]
    return index < theirs.length && mine !== their && fold(mine) === fold(their)
  })
}

describe('FoldedDeletions', () => {
  test('finds the deletions whose paths are spelled differently, and no others', () => {
    const steps = fc.array(fc.record({ key, add: fc.boolean() }), { maxLength: 30 })
    fc.assert(
      fc.property(steps, key, (sequence, wanted) => {
        const deletions = new FoldedDeletions<{ readonly key: string }>(fold)
        const pending = new Map<string, { readonly key: string }>()
        for (const step of sequence) {
          const before = pending.get(step.key)
          if (before !== undefined) deletions.remove(before)
          pending.delete(step.key)
          if (!step.add) continue
          const deletion = { key: step.key }
          deletions.add(deletion)
          pending.set(step.key, deletion)
        }
        const expected = [...pending.values()].filter((deletion) => meets(wanted, deletion.key))
        expect(new Set(deletions.otherSpellingsOf(wanted))).toEqual(new Set(expected))
      }),
    )
  })
})
