/**
 * The simulated disk and the checks on it are checked themselves: a store whose syncs are left out, or come too late, has to
 * be found out. Each of these ways to lose data was found in real programs.
 */
import { describe, expect, test } from 'vitest'
import { failureOf } from '../../src/contract/observe.js'
import { countOf } from '../helpers/tally.js'
import { EXTREMES } from './support/disk/disk-state.js'
import * as protocols from './support/disk/known-bad.js'
import { explore, liveAndWork, type Wrap } from './support/explore.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'
import type { KeyChange, Step } from './support/workload.js'

const SEED = tortureSettings().seed

function change(...changes: KeyChange[]): Step[] {
  return [
    { kind: 'change', namespace: 'agent', writer: null, durability: 'tree', changes },
    { kind: 'pause' },
  ]
}

const STEPS: readonly Step[] = [
  { kind: 'create', namespace: 'agent' },
  { kind: 'pause' },
  ...change({ key: 'notes/one', value: 'first '.repeat(300) }, { key: 'plan', value: 'first' }),
  ...change({ key: 'notes/one', value: 'second '.repeat(300) }),
  ...change({ key: 'notes/one', value: null }),
  ...change({ key: 'plan', value: null }),
]

/** Looks at so many moments (null: all) until something is found. */
async function exploreLife(wrap: Wrap | undefined, moments: number | null): Promise<number> {
  const random = new Random(SEED)
  const life = await liveAndWork(random, { steps: STEPS, close: true }, wrap)
  return explore(life, random, [{ moments, endings: () => EXTREMES }])
}

test('a store that keeps its promises passes at every moment', async () => {
  expect(await exploreLife(undefined, 60)).toBe(240)
})

describe('found out is a store that', () => {
  test.each([
    ['syncs nothing at all', protocols.noSyncAtAll, /format, .* is damaged/],
    ['does not sync its journal', protocols.noSyncOfTheJournal, /shows what it can't hold/],
    ['acknowledges before the sync', protocols.acknowledgementBeforeSync, /shows what it can't hold/],
    ['syncs files, but not their directories', protocols.noSyncOfDirectories, /shows what it can't hold/],
    ['gives a file its path before its content is synced', protocols.renameBeforeSync, /I5: /],
    ['does not sync the parents of what it made', protocols.parentsNotSynced, /shows what it can't hold/],
    ['does not sync what it unlinked', protocols.noSyncOfUnlinks, /was said to be in the tree/],
  ])('%s', async (_, wrap, expected) => {
    expect(String(await failureOf(() => exploreLife(wrap, null)))).toMatch(expected)
    countOf('mistakes made and found', 1)
  })
})
