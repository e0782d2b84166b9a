/**
 * Every step of the protocol is known by its name, and the power is cut before and after each: while a root is made, in
 * ordinary work, when segments are filled, given back and used again, when a namespace is removed, when the store is closed,
 * and in the recovery of all that. Segments are small here, so that they are filled all the time.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { Random } from './support/random.js'
import { forSeeds, tortureSettings } from './support/settings.js'
import { loadVariant, smallSegments, type Harness } from './support/variant.js'

const { isLong, testTimeoutMs } = tortureSettings()
vi.setConfig({ testTimeout: testTimeoutMs })

let harness: Harness

beforeAll(async () => {
  harness = await loadVariant(smallSegments(65_536, 98_304, 8192))
})

/** What making a root and opening it takes. */
const OPENING_STEPS = [
  'main: makeDirectory root',
  'main: sync root',
  'main: makeDirectory store directory',
  'main: makeDirectory journal',
  'main: makeDirectory tmp',
  'main: create temporary',
  'main: write temporary',
  'main: sync temporary',
  'main: rename checkpoint',
  'main: rename format',
  'main: sync store directory',
  'worker: create segment',
  'worker: write segment',
  'worker: sync segment',
  'worker: sync journal',
  'main: write checkpoint',
  'main: datasync checkpoint',
]
/** What work takes. */
const WORK_STEPS = [
  'main: write segment',
  'main: datasync segment',
  'worker: remove segment',
  'worker: makeDirectory namespace',
  'worker: sync root',
  'worker: makeDirectory content',
  'worker: makeDirectory metadata',
  'worker: create temporary',
  'worker: write temporary',
  'worker: setTime temporary',
  'worker: sync temporary',
  'worker: rename content',
  'worker: sync content',
  'worker: rename metadata',
  'worker: sync metadata',
  'worker: remove content',
  'worker: remove metadata',
  'worker: remove namespace',
  'worker: sync namespace',
]
/** What an opening takes that finds a backlog. */
const RECOVERY_STEPS = [
  'main: datasync segment',
  'worker: create segment',
  'worker: sync segment',
  'main: write segment',
  'main: write checkpoint',
  'main: datasync checkpoint',
  'worker: remove segment',
  'worker: sync journal',
  'worker: rename content',
  'worker: sync content',
  'worker: rename metadata',
  'worker: sync metadata',
]

test('before and after every step of opening, working, giving back segments and closing (I1, I4, I5, I6)', () =>
  forSeeds('every step', async (seed) => {
    const random = new Random(seed)
    const steps = [
      ...harness.randomWorkload(random, { steps: 60, namespaces: 2, largeShare: 0 }),
      ...harness.orderlyWorkload('clerk', 0),
      { kind: 'flush' as const },
      { kind: 'remove' as const, namespace: 'clerk' },
      { kind: 'pause' as const },
    ]
    const life = await harness.liveAndWork(random, { steps: harness.paused(random, steps), close: true })
    const { names, moments } = harness.momentsOfSteps(life, random, isLong ? 6 : 0)
    expect(names).toEqual(expect.arrayContaining([...OPENING_STEPS, ...WORK_STEPS]))
    const endings = harness.someEndings(isLong ? 6 : 2)
    const checked = await harness.explore(life, random, [{ moments, endings }])
    expect(checked).toBe(moments.length * (isLong ? 6 : 2))
  }))

test('before and after every step of a recovery, and of the recovery from that (I1, I4, I5, I6)', () =>
  forSeeds('every step of a recovery', async (seed) => {
    const random = new Random(seed)
    const steps = harness.paused(
      random,
      harness.randomWorkload(random, { steps: 60, namespaces: 2, largeShare: 0 }),
    )
    const life = await harness.liveAndWork(random, { steps, close: false })
    const seen = new Set<string>()
    for (let lap = 0; lap < (isLong ? 12 : 4); lap++) {
      const draw = random.fork(lap)
      const ending = harness.randomEnding(life, draw)
      const recovery = await harness.recover(life, ending, draw)
      const { names, moments } = harness.momentsOfSteps(recovery, draw, 0)
      for (const name of names) seen.add(name)
      try {
        await harness.explore(recovery, draw, [
          {
            moments: isLong ? moments : draw.shuffled(moments).slice(0, 40),
            endings: harness.someEndings(1),
          },
          { moments: 1, endings: harness.someEndings(1) },
        ])
      } catch (error) {
        throw new Error(`${harness.describeEnding(life, ending)}, then ${String(error)}`, { cause: error })
      }
    }
    expect([...seen]).toEqual(expect.arrayContaining(RECOVERY_STEPS))
  }))
