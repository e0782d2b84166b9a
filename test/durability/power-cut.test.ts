/**
 * The power is cut at every step of the protocol, on a disk that keeps no more than it promised, and what it may hold
 * afterwards is opened with the real code; while that recovers, the power is cut again.
 */
import { expect, test, vi } from 'vitest'
import {
  describeEnding,
  explore,
  liveAndWork,
  randomEnding,
  recover,
  recoverAndWork,
  someEndings,
  type WorkSettings,
} from './support/explore.js'
import { Random } from './support/random.js'
import { forSeeds, tortureSettings } from './support/settings.js'
import { randomWorkload } from './support/workload.js'

const { isLong, testTimeoutMs } = tortureSettings()
vi.setConfig({ testTimeout: testTimeoutMs })

test('after a power cut at any moment everything acknowledged is there, whole, and nothing else (I1, I4, I5, I6)', () =>
  forSeeds('power cut at every moment', async (seed) => {
    const random = new Random(seed)
    const steps = randomWorkload(random, { steps: 120, namespaces: 2, largeShare: 0.01 })
    const life = await liveAndWork(random, { steps, close: random.chance(0.5) })
    const checked = await explore(life, random, [
      { moments: isLong ? null : 100, endings: someEndings(isLong ? 4 : 2) },
    ])
    expect(checked).toBeGreaterThanOrEqual(200)
  }))

test('the same holds when recovery is cut off, and the recovery after that (I1, I4, I5, I6)', () =>
  forSeeds('power cut while recovering', async (seed) => {
    const random = new Random(seed)
    const steps = randomWorkload(random, { steps: 60, namespaces: 2, largeShare: 0.01 })
    const life = await liveAndWork(random, { steps, close: false })
    const moments = isLong ? [60, 10, 4] : [12, 4, 1]
    const endings = [someEndings(2), someEndings(1), someEndings(1)]
    const checked = await explore(
      life,
      random,
      endings.map((ends, depth) => ({ moments: moments[depth]!, endings: ends })),
    )
    expect(checked).toBeGreaterThanOrEqual(200)
  }))

test('what a killed process had not synced yet is made durable before anybody relies on it (I1, I2, I4)', () =>
  forSeeds('power cut after a kill', async (seed) => {
    const random = new Random(seed)
    const steps = randomWorkload(random, { steps: 20, namespaces: 2, largeShare: 0 })
    const life = await liveAndWork(random, { steps, close: random.chance(0.5) })
    const checked = await explore(life, random, [
      { moments: isLong ? null : 25, endings: () => [null] },
      { moments: isLong ? 30 : 5, endings: () => [{ entries: 0, contents: 0, staleBytes: false }] },
    ])
    expect(checked).toBeGreaterThan(100)
  }))

test('a root that a killed process was making is durable once another has opened it (I1)', () =>
  forSeeds('kill while the root is made', async (seed) => {
    const random = new Random(seed)
    const steps = randomWorkload(random, { steps: 4, namespaces: 1, largeShare: 0 })
    const life = await liveAndWork(random, { steps, close: true })
    const checked = await explore(life, random, [
      { moments: null, endings: () => [null] },
      { moments: isLong ? 20 : 4, endings: () => [{ entries: 0, contents: 0, staleBytes: false }] },
    ])
    expect(checked).toBeGreaterThan(100)
  }))

test('a store that goes on working after each of many crashes never loses what it acknowledged (I1, I4, I6)', () =>
  forSeeds('one crash after the other', async (seed) => {
    for (let chain = 0; chain < (isLong ? 20 : 4); chain++) {
      const random = new Random(seed).fork(`chain ${chain}`)
      const past: string[] = []
      try {
        let life = await liveAndWork(random, work(random, 0))
        for (let generation = 1; generation <= 8; generation++) {
          const ending = randomEnding(life, random)
          past.push(describeEnding(life, ending))
          life = await recoverAndWork(life, ending, random, work(random, generation))
        }
        await recover(life, randomEnding(life, random), random)
      } catch (error) {
        throw new Error(`chain ${chain}, ${past.join(', then ')}: ${String(error)}`, { cause: error })
      }
    }
  }))

/** Now and then with values that fill segments, which are then given back and used again. */
function work(random: Random, generation: number): WorkSettings {
  const largeShare = random.pick([0, 0, 0.5])
  const steps = randomWorkload(random, { steps: 40, namespaces: 2, largeShare }, generation * 1000)
  return { steps, close: random.chance(0.4) }
}
