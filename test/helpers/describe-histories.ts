/** Histories of several agents on one namespace, in one thread, checked for linearizability. */
import { describe, test } from 'vitest'
import { checkHistory } from '../linearizability/support/check-history.js'
import { recordHistory } from '../linearizability/support/record.js'
import { forSeeds } from '../durability/support/settings.js'
import type { StoreKind } from './stores.js'
import { countOf } from './tally.js'

export function describeHistories(kind: StoreKind, numRuns: number): void {
  describe(`I3: one namespace, one order (${kind.name})`, () => {
    test('concurrent reads, conditional writes, updates, deletes, batches and lists have one order that fits every answer, conflict and event', () =>
      forSeeds(`histories, ${kind.name}`, (seed) => runHistory(kind, seed), { seeds: numRuns }))
  })
}

async function runHistory(kind: StoreKind, seed: number): Promise<void> {
  const { calls } = checkHistory(await recordHistory(kind, { seed, agents: 8, rounds: 40, openings: 2 }))
  countOf('histories checked for linearizability', 1)
  countOf('calls in these histories', calls)
}
