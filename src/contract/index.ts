/**
 * The contract as tests, for anybody's store or backend. In a vitest file:
 *
 * ```ts
 * import { describeStoreContract } from 'agent-state/contract'
 * describeStoreContract('my store', { open: (options) => openStore({ ...options, backend: myBackend() }), reopen: … })
 * ```
 */
import { describe } from 'vitest'
import { committing } from './backend/committing.js'
import { givenBackend } from './backend/given-backend.js'
import { persistence } from './backend/persistence.js'
import { reading } from './backend/reading.js'
import { revisions } from './backend/revisions.js'
import { tree } from './backend/tree.js'
import { checkGaps, givenStore, type Given } from './given.js'
import type { BackendGapName, BackendSetup, StoreGapName, StoreSetup } from './setup.js'
import { aborting } from './store/aborting.js'
import { batches } from './store/batches.js'
import { conditions } from './store/conditions.js'
import { conflicts } from './store/conflicts.js'
import { events } from './store/events.js'
import { handoffs } from './store/handoffs.js'
import { json } from './store/json.js'
import { keys } from './store/keys.js'
import { keyTrees } from './store/key-trees.js'
import { lifecycle } from './store/lifecycle.js'
import { limits } from './store/limits.js'
import { lists } from './store/lists.js'
import { metrics } from './store/metrics.js'
import { namespaces } from './store/namespaces.js'
import { options } from './store/options.js'
import { policies } from './store/policies.js'
import { seenKeys } from './store/seen-keys.js'
import { updates } from './store/updates.js'
import { values } from './store/values.js'
import { watchBounds } from './store/watch-bounds.js'
import { watching } from './store/watch.js'
import { writers } from './store/writers.js'
import { writes } from './store/writes.js'

export type { BackendGapName, BackendSetup, Gap, StoreGapName, StoreOptions, StoreSetup } from './setup.js'

const STORE_GAPS: readonly StoreGapName[] = [
  'reopen',
  'limits',
  'distinct-names',
  'watch-history',
  'closed-event',
]
const BACKEND_GAPS: readonly BackendGapName[] = ['reopen', 'distinct-names']

const STORE_CHAPTERS: Readonly<Record<string, (given: Given) => void>> = {
  namespaces,
  keys,
  'keys as paths': keyTrees,
  values,
  json,
  writes,
  writers,
  conflicts,
  'what was seen': seenKeys,
  'conflict policies': policies,
  conditions,
  batches,
  updates,
  lists,
  watch: watching,
  'the bounds of a watch': watchBounds,
  events,
  handoffs,
  options,
  aborting,
  limits,
  metrics,
  lifecycle,
}

/** Registers the tests of what every `Store` promises, under vitest. */
export function describeStoreContract(name: string, setup: StoreSetup): void {
  describe(`the store contract: ${name}`, () => {
    checkGaps(STORE_GAPS, setup.gaps, setup.reopen !== undefined)
    const given = givenStore(setup)
    for (const [chapter, register] of Object.entries(STORE_CHAPTERS)) {
      describe(chapter, () => register(given))
    }
  })
}

/** Registers the tests of what every `Backend` promises to the coordinator, under vitest. */
export function describeBackendContract(name: string, setup: BackendSetup): void {
  describe(`the backend contract: ${name}`, () => {
    checkGaps(BACKEND_GAPS, setup.gaps, setup.reopen !== undefined)
    const given = givenBackend(setup)
    describe('committing', () => committing(given))
    describe('reading', () => reading(given))
    describe('revisions', () => revisions(given))
    describe('the tree', () => tree(given))
    describe('opening again', () => persistence(given))
  })
}
