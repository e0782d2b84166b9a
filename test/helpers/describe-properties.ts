/** Property tests of a kind of store: whatever agents do, it is as the model says. */
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { CheckedStore, type StoreUse } from './checked-store.js'
import { forSeeds } from '../durability/support/settings.js'
import { steps } from './sequences.js'
import type { StoreKind } from './stores.js'
import { countOf } from './tally.js'

export function describeProperties(kind: StoreKind, numRuns: number, use: StoreUse = {}): void {
  const how = [kind.name, ...Object.keys(use.limits ?? {})].join(', ')
  describe(`whatever agents do, one after the other (${how})`, () => {
    test('results, conflicts, events, watch items, lists and entries are as the model says, also after opening again', () =>
      forSeeds(`sequences, ${how}`, async (seed) => {
        await fc.assert(
          fc.asyncProperty(steps, async (sequence) => {
            const state = await kind.create()
            try {
              const checked = new CheckedStore(state, use)
              await checked.open()
              await checked.run(sequence)
              await checked.close()
              await checked.open()
              await checked.close()
            } finally {
              await state.dispose()
            }
          }),
          { seed, numRuns },
        )
        countOf('sequences compared with the model', numRuns)
      }))
  })
}
