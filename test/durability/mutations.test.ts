/**
 * The proof is put to the proof: mistakes are made in the source itself, one at a time, and each has to be found. (Ways to
 * lose data that lie in the use of the file system are in known-bad-protocols.test.ts.) Segments are small here, so that they
 * are filled, given back and used again all the time.
 */
import { expect, test, vi } from 'vitest'
import { failureOf } from '../../src/contract/observe.js'
import { countOf } from '../helpers/tally.js'
import { MUTATIONS } from './support/mutations.js'
import { tortureSettings } from './support/settings.js'
import { editedSources, loadVariant, smallSegments } from './support/variant.js'

const { seed, isLong, testTimeoutMs } = tortureSettings()
const SMALL_SEGMENTS = smallSegments(32_768, 49_152, 4096)
vi.setConfig({ testTimeout: testTimeoutMs + 600_000 })

/** Most are found in the first round, all within ten; a mistake that takes longer is not found reliably. */
const ROUNDS_MAX = 40

test('nothing is found where no mistake was made', async () => {
  const { hunt, Random } = await loadVariant(SMALL_SEGMENTS)
  await hunt(new Random(seed), 2)
})

test('every mistake can be made in the source as it is', () => {
  for (const { edits } of MUTATIONS) {
    const sources = editedSources([...SMALL_SEGMENTS, ...edits])
    expect(sources.size).toBeGreaterThanOrEqual(new Set(edits.map(({ file }) => file)).size)
  }
  expect(MUTATIONS.length).toBeGreaterThan(0)
})

/** All of them in a long run, every fourth otherwise: each may take some seconds to be found. */
const TRIED = MUTATIONS.filter((_, index) => isLong || index % 4 === 0)

test.each(TRIED)('found out: $name', async ({ edits }) => {
  const { hunt, Random } = await loadVariant([...SMALL_SEGMENTS, ...edits])
  expect(await failureOf(() => hunt(new Random(seed), ROUNDS_MAX))).toBeInstanceOf(Error)
  countOf('mistakes made and found', 1)
})
