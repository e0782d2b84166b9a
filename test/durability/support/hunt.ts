/** Looks for mistakes in every way there is, one after the other, until one is found or enough was tried. */
import { EXTREMES, randomSurvival, type Survival } from './disk/disk-state.js'
import { ROOT } from './disk/machine.js'
import {
  describeEnding,
  explore,
  liveAndWork,
  momentsOfSteps,
  randomEnding,
  recover,
  recoverAndWork,
  type Ending,
  type Life,
  type WorkSettings,
} from './explore.js'
import { placeOf } from './protocol-step.js'
import type { Random } from './random.js'
import { orderlyWorkload, paused, randomWorkload } from './workload.js'

export async function hunt(random: Random, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await endAtSteps(random.fork(`steps ${round}`))
    await endRecoveries(random.fork(`recoveries ${round}`))
    await loseWhatWasFound(random.fork(`found ${round}`))
    await leaveContentsTwice(random.fork(`contents ${round}`))
    for (let chain = 0; chain < 2; chain++) await crashAgainAndAgain(random.fork(`chain ${round} ${chain}`))
  }
}

/** Ends a life around its steps, and some of the openings that follow. */
async function endAtSteps(random: Random): Promise<void> {
  const life = await liveAndWork(random, work(random, 0))
  const { moments } = momentsOfSteps(life, random, 0)
  await explore(life, random, [
    { moments: random.shuffled(moments).slice(0, 25), endings: oneSurvival },
    { moments: 1, endings: oneSurvival },
  ])
}

/** Ends openings that have something to recover, around their steps. */
async function endRecoveries(random: Random): Promise<void> {
  const life = await liveAndWork(random, { ...work(random, 0), close: random.pick([false, 'unflushed']) })
  for (let lap = 0; lap < 4; lap++) {
    const draw = random.fork(lap)
    const ending = lap === 0 ? { moment: life.recording.length, survival: null } : randomEnding(life, draw)
    await inContext([describeEnding(life, ending)], async () => {
      const recovery = await recover(life, ending, draw)
      const { moments } = momentsOfSteps(recovery, draw, 0)
      await explore(recovery, draw, [{ moments: draw.shuffled(moments).slice(0, 12), endings: oneSurvival }])
    })
  }
}

/** Kills a process whose last frame is in memory only, and cuts the power while an opening makes use of that frame. */
async function loseWhatWasFound(random: Random): Promise<void> {
  const life = await liveAndWork(random, { ...work(random, 0), close: false })
  const names = life.recording.steps((path) => placeOf(ROOT, path))
  const syncs = [...names.keys()].filter((index) => names[index] === 'main: datasync segment')
  const ending = { moment: random.pick(syncs), survival: null }
  await inContext([describeEnding(life, ending)], async () => {
    const recovery = await recover(life, ending, random)
    const { moments } = momentsOfSteps(recovery, random, 0)
    await explore(recovery, random, [{ moments, endings: () => EXTREMES.slice(0, 1) }])
  })
}

/** Kills a process that has put a content in its place and not its metadata, and openings after it: what they carry tells whose it is. */
async function leaveContentsTwice(random: Random): Promise<void> {
  const life = await liveAndWork(random, { ...work(random, 0), close: false })
  const names = life.recording.steps((path) => placeOf(ROOT, path))
  const renames = [...names.keys()].filter((index) => names[index] === 'worker: rename content')
  for (const index of random.shuffled(renames).slice(0, 3)) {
    const ending = { moment: index + 1, survival: null }
    await inContext([describeEnding(life, ending)], async () => {
      const recovery = await recover(life, ending, random)
      const { moments } = momentsOfSteps(recovery, random, 0)
      await explore(recovery, random, [{ moments, endings: () => [null] }])
    })
  }
}

const oneSurvival = (random: Random): Survival[] => [randomSurvival(random)]

/** The store goes on working after each crash. */
export async function crashAgainAndAgain(random: Random, generations = 6): Promise<void> {
  const past: string[] = []
  await inContext(past, async () => {
    let life = await liveAndWork(random, work(random, 0))
    for (let generation = 1; generation <= generations; generation++) {
      const ending = endingOf(life, random)
      past.push(describeEnding(life, ending))
      life = await recoverAndWork(life, ending, random, work(random, generation))
    }
  })
}

/** Often where it would have ended anyway: what closing promises is to be relied on. */
function endingOf(life: Life, random: Random): Ending {
  const ending = randomEnding(life, random)
  return random.chance(0.3) ? { ...ending, moment: life.recording.length } : ending
}

async function inContext(past: readonly string[], act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    throw new Error(`${past.join(', then ')}: ${String(error)}`, { cause: error })
  }
}

/** Now and then many small values, each of which is a frame of its own: then frames of all uses of a segment lie alike. */
export function work(random: Random, generation: number): WorkSettings {
  const isSmall = random.chance(0.5)
  const settings = { steps: isSmall ? 80 : 50, namespaces: 2, largeShare: 0 }
  const steps = randomWorkload(
    random,
    isSmall ? { ...settings, valueBytesMax: 600 } : settings,
    generation * 1000,
  )
  const all = generation === 0 && random.chance(0.3) ? [...orderlyWorkload('clerk', 0), ...steps] : steps
  return {
    steps: paused(random, all, isSmall ? 1 : 0.5),
    close: random.pick([false, false, true, 'unflushed']),
  }
}
