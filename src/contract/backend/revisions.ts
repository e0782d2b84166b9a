/** Revisions: per namespace strictly increasing, never given twice. */
import { expect } from 'vitest'
import type { Unit } from '../../backend/backend.js'
import {
  changing,
  commit,
  creating,
  headOf,
  planOf,
  remove,
  write,
  type GivenBackend,
} from './given-backend.js'

export function revisions(given: GivenBackend): void {
  given.test(
    'every unit has a higher revision than all before it in its namespace, also after deletes and removals',
    async () => {
      const { backend, answer } = await given.open()
      const rounds: readonly (readonly Unit[])[] = [
        [{ kind: 'create' }, { kind: 'change', changes: [write('k', '1')] }],
        [{ kind: 'change', changes: [remove('k')] }],
        [
          { kind: 'change', changes: [write('k', '2')] },
          { kind: 'change', changes: [remove('k')] },
        ],
        [{ kind: 'remove' }],
        [{ kind: 'create' }],
        [{ kind: 'change', changes: [write('k', '3')] }],
        [{ kind: 'remove' }, { kind: 'create' }],
        [{ kind: 'change', changes: [write('k', '4')] }],
      ]
      let highest = answer.revision
      for (const units of rounds) {
        const first = await commit(backend, planOf('n', units))
        expect(Number.isSafeInteger(first)).toBe(true)
        expect(first).toBeGreaterThan(highest)
        highest = first + units.length - 1
      }
      expect((await headOf(backend, 'n', 'k'))?.revision).toBe(highest)
    },
  )
  given.test('`allocateRevision` gives a revision above all before, and none is given again', async () => {
    const { backend } = await given.open()
    const assigned: number[] = [await commit(backend, creating('n', [write('k', '1')]))]
    for (let round = 0; round < 20; round += 1) {
      assigned.push(backend.allocateRevision(), backend.allocateRevision())
      assigned.push(await commit(backend, changing('n', [write('k', String(round))])))
    }
    expect(assigned).toEqual([...new Set(assigned)].sort((one, two) => one - two))
  })
  given.test('a revision allocated while a commit is under way is none of that commit', async () => {
    const { backend } = await given.open()
    await commit(backend, creating('n'))
    const units = Array.from({ length: 10 }, (_, index) => [write(`k${index}`, '1')])
    const committing = commit(backend, changing('n', ...units))
    const allocated = backend.allocateRevision()
    const first = await committing
    expect(allocated < first || allocated >= first + units.length).toBe(true)
  })
  given.testUnless(
    'reopen',
    'no revision is given again after opening again, also where only deleted keys and removed namespaces had it',
    async () => {
      let opened = await given.open()
      let highest = opened.answer.revision
      for (let round = 0; round < 4; round += 1) {
        const { backend } = opened
        const first = await commit(backend, creating('n', [write('k', '1')], [remove('k')]))
        expect(first).toBeGreaterThan(highest)
        const removal = await commit(backend, planOf('n', [{ kind: 'remove' }]))
        highest = Math.max(removal, round % 2 === 0 ? backend.allocateRevision() : 0)
        opened = await given.reopen(opened, { flush: round !== 1 })
        expect(opened.answer.revision).toBeGreaterThanOrEqual(highest)
        expect(opened.backend.allocateRevision()).toBeGreaterThan(highest)
      }
    },
  )
}
