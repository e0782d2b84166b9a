/** Histories of several agents on one namespace, in one thread, checked for linearizability. */
import { describe, test } from 'vitest'
import { checkHistory } from '../linearizability/support/check-history.js'
import { recordHistory } from '../linearizability/support/record.js'
import { fuzzSettings } from './fuzz-settings.js'
import type { StoreKind } from './stores.js'
import { countOf } from './tally.js'

export function describeHistories(kind: StoreKind, numRuns: number): void {
  describe(`I3: one namespace, one order (${kind.name})`, () => {
    test('concurrent reads, conditional writes, updates, deletes, batches and lists have one order that fits every answer, conflict and event', async () => {
      const settings = fuzzSettings(numRuns)
      for (let run = 0; run < settings.numRuns; run += 1) await runHistory(kind, settings.seed + run)
    })
  })
}

async function runHistory(kind: StoreKind, seed: number): Promise<void> {
  try {
    const { calls } = checkHistory(await recordHistory(kind, { seed, agents: 8, rounds: 40, openings: 2 }))
    countOf('histories checked for linearizability', 1)
    countOf('calls in these histories', calls)
  } catch (error) {
    throw new Error(`AGENT_STATE_SEED=${seed}`, { cause: error })
  }
}
