/**
 * Explores what may become of a store: one life is lived and recorded, then at many moments of it the machine is killed or
 * loses its power, and another life begins on what the disk may hold then. That one can be ended anywhere, too.
 */
import { expect } from 'vitest'
import type { Store } from '../../../src/api.js'
import { countOf } from '../../helpers/tally.js'
import { checkAfterCrash, openChecked, type RootUnderTest } from './check-root.js'
import { checkNewRevisions, checkStore } from './check-store.js'
import { DiskState, EXTREMES, randomSurvival, type Survival } from './disk/disk-state.js'
import { Machine, ROOT } from './disk/machine.js'
import type { Recording } from './disk/recording.js'
import type { SimulatedDisk } from './disk/simulated-disk.js'
import type { FileSystem } from '../../../src/backend/file/file-system.js'
import { execute, isOrdinaryRefusal, witnessOf } from './execute.js'
import { History } from './history.js'
import { placeOf } from './protocol-step.js'
import type { Random } from './random.js'
import type { Step } from './workload.js'

/** A life that was lived, and what must be true of each moment in it. */
export interface Life {
  readonly recording: Recording
  historyAt(moment: number): History
}

export type Wrap = (disk: SimulatedDisk) => FileSystem

export interface WorkSettings {
  readonly steps: readonly Step[]
  /** Closes the store at the end (`unflushed`: the tree is left behind); otherwise it is left as it is. */
  readonly close: boolean | 'unflushed'
}

/** A store is opened on a new disk and works; nothing goes wrong. */
export async function liveAndWork(
  random: Random,
  { steps, close }: WorkSettings,
  wrap?: Wrap,
): Promise<Life> {
  const machine = new Machine(new DiskState(), random, wrap)
  const { recording } = machine
  const history = new History(() => recording.length)
  await machine.run(async () => {
    const { store, complaints } = await machine.open()
    await workQuietly(store, steps, history)
    await endWork(store, history, close)
    expect(complaints, 'an undisturbed store has nothing to complain of').toEqual([])
  })
  return { recording, historyAt: (moment) => history.fork(undefined, moment) }
}

/** How a life ends. */
export interface Ending {
  readonly moment: number
  /** Null: the process is killed, and the next one finds everything as it was, synced or not. */
  readonly survival: Survival | null
}

/** Opens what an ending left, with the real code, and checks it. The life that this was can be ended in turn. */
export function recover(life: Life, ending: Ending, random: Random): Promise<Life> {
  return liveAfter(life, ending, random, (root, history) =>
    checkAfterCrash(root, history, { opensAgain: random.chance(0.2) }),
  )
}

/** Opens what an ending left, checks what the store shows, and goes on working. */
export function recoverAndWork(
  life: Life,
  ending: Ending,
  random: Random,
  { steps, close }: WorkSettings,
): Promise<Life> {
  return liveAfter(life, ending, random, async (root, history) => {
    const { store, complaints } = await openChecked(root, history)
    await checkStore(store, history)
    await checkNewRevisions(store, history)
    await workQuietly(store, steps, history)
    await endWork(store, history, close)
    expect(complaints).toEqual([])
  })
}

async function liveAfter(
  life: Life,
  ending: Ending,
  random: Random,
  act: (root: RootUnderTest, history: History) => Promise<void>,
): Promise<Life> {
  const before = life.recording.stateAt(ending.moment, random)
  const state = ending.survival === null ? before : before.cutPower(random, ending.survival)
  const machine = new Machine(state, random)
  countOf(ending.survival === null ? 'kills simulated' : 'power cuts simulated', 1)
  const { recording } = machine
  const unsettled = life.historyAt(ending.moment)
  const history = unsettled.fork(() => recording.length)
  let servedAt = Infinity
  const root = {
    readTree: () => machine.readTree(),
    async open() {
      const opened = await machine.open()
      // What an open store shows is certain (I2), so from here on only what was found may be found again.
      servedAt = Math.min(servedAt, recording.length)
      return opened
    },
  }
  await machine.run(() => act(root, history))
  return {
    recording,
    historyAt: (moment) => (moment < servedAt ? unsettled.fork() : history.fork(undefined, moment)),
  }
}

async function endWork(store: Store, history: History, close: WorkSettings['close']): Promise<void> {
  if (close === false) return
  await store.close({ flush: close === true })
  if (close === true) history.closed()
}

/** No request may be refused but for what it asks for. */
async function workQuietly(store: Store, steps: readonly Step[], history: History): Promise<void> {
  const failures: string[] = []
  await execute(
    store,
    steps,
    witnessOf(history, (error) => {
      if (!isOrdinaryRefusal(error)) failures.push(String(error))
    }),
  )
  expect(failures, 'an undisturbed store refuses nothing').toEqual([])
}

/** What to try of one life; what follows in the list, of each life that begins after its end, and so on. */
export interface Level {
  /** How many moments, or which; null: all. */
  readonly moments: number | readonly number[] | null
  /** What may become of it at each of them; see `Ending`. */
  readonly endings: (random: Random) => readonly (Survival | null)[]
}

/** Ends a life at many moments; returns how many openings were checked. What fails says where. */
export async function explore(life: Life, random: Random, levels: readonly Level[]): Promise<number> {
  const [level, ...deeper] = levels
  if (level === undefined) return 0
  let checked = 0
  for (const moment of pickMoments(life.recording.length, level.moments, random)) {
    for (const survival of level.endings(random)) {
      const next = await attempt(life, { moment, survival }, random.fork(`${moment}`))
      checked++
      try {
        checked += await explore(next, random.fork(`below ${moment}`), deeper)
      } catch (error) {
        throw new Error(`${describeEnding(life, { moment, survival })}, then ${messageOf(error)}`, {
          cause: error,
        })
      }
    }
  }
  return checked
}

/**
 * The moments before and after each step of the protocol that a life took: of its first, its last and some other ones of
 * each kind.
 */
export function momentsOfSteps(life: Life, random: Random, others: number): StepMoments {
  const found = new Map<string, number[]>()
  life.recording
    .steps((path) => placeOf(ROOT, path))
    .forEach((name, index) => {
      const indexes = found.get(name)
      if (indexes === undefined) found.set(name, [index])
      else indexes.push(index)
    })
  const moments = new Set<number>()
  for (const indexes of found.values()) {
    const [first, ...rest] = indexes
    for (const index of [first!, ...rest.slice(-1), ...random.shuffled(rest).slice(0, others)]) {
      moments.add(index).add(index + 1)
    }
  }
  return { names: [...found.keys()], moments: [...moments].sort((one, two) => one - two) }
}

export interface StepMoments {
  /** Such as `worker: rename content`. */
  readonly names: readonly string[]
  readonly moments: readonly number[]
}

/** A moment of a life and what may become of it, at random. */
export function randomEnding(life: Life, random: Random): Ending {
  return { moment: random.below(life.recording.length + 1), survival: someEndings(1)(random)[0]! }
}

async function attempt(life: Life, ending: Ending, random: Random): Promise<Life> {
  try {
    return await recover(life, ending, random)
  } catch (error) {
    throw new Error(`${describeEnding(life, ending)}: ${messageOf(error)}`, { cause: error })
  }
}

function pickMoments(length: number, count: Level['moments'], random: Random): readonly number[] {
  if (typeof count === 'object' && count !== null) return count
  const all = Array.from({ length: length + 1 }, (_, moment) => moment)
  if (count === null || count >= all.length) return all
  // The last one is the end of the life itself: whoever closed the store may rely on it.
  const some = random.shuffled(all.slice(0, -1)).slice(0, count - 1)
  return [...some, length].sort((a, b) => a - b)
}

/** Ways for a life to end: a kill, the extremes of a power cut and others, as many as wanted. */
export function someEndings(count: number): Level['endings'] {
  return (random) => {
    const usual = random.shuffled([null, ...EXTREMES, randomSurvival(random), randomSurvival(random)])
    return Array.from({ length: count }, (_, index) => usual[index] ?? randomSurvival(random))
  }
}

export function describeEnding(life: Life, { moment, survival }: Ending): string {
  const how =
    survival === null
      ? 'killed'
      : `power cut (survival of entries ${survival.entries}, of contents ${survival.contents})`
  return `${how} ${life.recording.describe(moment)}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
