/**
 * Every call that the file backend makes of the disk fails: the n-th of its kind, once and for ever, with every error that
 * it may have. Whatever fails: each request is answered (I11), what the answer says is true (I8), what was acknowledged is
 * there (I1), nothing is half done (I4, I5), nothing stays open, and what can go on goes on.
 */
import { expect, test, vi } from 'vitest'
import type { Store } from '../../src/api.js'
import { AgentStateError } from '../../src/errors.js'
import { checkAfterCrash } from './support/check-root.js'
import { checkStore } from './support/check-store.js'
import { DiskState, EXTREMES } from './support/disk/disk-state.js'
import { codesOf, Faults, faultyDisk, Flaky, type Fault } from './support/disk/faulty-disk.js'
import { Machine } from './support/disk/machine.js'
import { execute, witnessOf } from './support/execute.js'
import { History } from './support/history.js'
import type { WatchedStore } from './support/in-thread.js'
import { Random } from './support/random.js'
import { forSeeds, tortureSettings } from './support/settings.js'
import { orderlyWorkload, randomWorkload, type Step } from './support/workload.js'

const { isLong, testTimeoutMs } = tortureSettings()
vi.setConfig({ testTimeout: testTimeoutMs })

/** What a store may answer because the disk failed. */
const TRUE_CODES = [
  'NO_SPACE',
  'READ_FAILED',
  'STORE_FAILED',
  'OUTCOME_UNKNOWN',
  'TREE_STUCK',
  'TREE_PENDING',
]
const ORDINARY_CODES = ['KEY_BLOCKED', 'NAMESPACE_NOT_FOUND']
const OPENING_CODES = ['ROOT_UNUSABLE', 'READ_FAILED', 'NO_SPACE', 'STORE_FAILED']

/** What a life of a root begins with. */
interface Beginning {
  readonly state: DiskState
  readonly history: (clock: () => number) => History
}

const NEW_ROOT: Beginning = { state: new DiskState(), history: (clock) => new History(clock) }

/** How the life of a root went, in which the fault was. */
interface Outcome {
  readonly machine: Machine
  readonly faults: Faults
  readonly history: History
}

async function liveWithFault(
  random: Random,
  steps: readonly Step[],
  fault: Fault | null,
  { state, history: historyOf }: Beginning = NEW_ROOT,
): Promise<Outcome> {
  const faults = new Faults(fault)
  const died = new Set<number>()
  const machine = new Machine(state.copy(), random, (disk) => faultyDisk(disk, faults, died))
  machine.hasDied = (task) => died.has(task)
  const history = historyOf(() => machine.recording.length)
  await machine.run(async () => {
    const opened = await openInSpite(machine, fault)
    if (opened === null) return
    faults.isPaused = true
    await checkStore(opened.store, history)
    faults.isPaused = false
    const repairs = (): void => {
      faults.repair()
      machine.disk.state.evict(random)
    }
    await workInSpite(opened, steps, history, random.chance(0.5) ? repairs : null)
  })
  expect(machine.disk.openCount, 'file descriptors left open').toBe(0)
  return { machine, faults, history }
}

/** Null: it can't be opened, for ever. What failed once is no reason to fail again. */
async function openInSpite(machine: Machine, fault: Fault | null): Promise<WatchedStore | null> {
  try {
    return await machine.open()
  } catch (error) {
    expectTrue(error, OPENING_CODES)
    expect(machine.disk.openCount, 'file descriptors left open by an opening that failed').toBe(0)
    return fault?.forEver === true ? null : machine.open()
  }
}

async function workInSpite(
  { store }: WatchedStore,
  steps: readonly Step[],
  history: History,
  repairs: (() => void) | null,
): Promise<void> {
  const failures: unknown[] = []
  await execute(
    store,
    steps,
    witnessOf(history, (error) => failures.push(error)),
  )
  for (const error of failures) expectTrue(error, [...TRUE_CODES, ...ORDINARY_CODES])
  if (repairs !== null) {
    repairs()
    await checkReads(store, history)
  }
  try {
    await store.close()
  } catch (error) {
    expectTrue(error, ['CLOSE_INCOMPLETE'])
  }
}

/** A store that failed goes on being read, from its last acknowledged state. */
async function checkReads(store: Store, history: History): Promise<void> {
  const acknowledged = history.fork()
  for (const unit of acknowledged.uncertain()) acknowledged.refused(unit)
  await checkStore(store, acknowledged)
}

function expectTrue(error: unknown, codes: readonly string[]): void {
  if (AgentStateError.is(error) && codes.includes(error.code)) return
  throw new Error(`this says nothing true, or nothing that a program can understand: ${String(error)}`, {
    cause: error,
  })
}

/** What the next process finds, also when the system has dropped what it could not write, and after a power cut. */
async function checkAfterwards(
  { machine, history }: Pick<Outcome, 'machine' | 'history'>,
  random: Random,
): Promise<void> {
  for (const survival of [null, random.pick(EXTREMES)]) {
    const state = machine.disk.state.copy()
    if (random.chance(0.5)) state.evict(random)
    const next = new Machine(survival === null ? state : state.cutPower(random, survival), random)
    const root = { readTree: () => next.readTree(), open: () => next.open() }
    // A write that got only half into the tree, and was then superseded, leaves a content that nothing explains any more.
    const options = { opensAgain: random.chance(0.2), mayPreserve: true }
    await next.run(() => checkAfterCrash(root, history.fork(), options))
  }
}

async function tryFault(
  random: Random,
  steps: readonly Step[],
  fault: Fault,
  beginning: Beginning,
): Promise<boolean> {
  try {
    const outcome = await liveWithFault(random, steps, fault, beginning)
    await checkAfterwards(outcome, random)
    return outcome.faults.failed > 0
  } catch (error) {
    const when = fault.forEver ? `from call ${fault.count} on` : `once, at call ${fault.count}`
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`'${fault.call}' fails with ${fault.code} ${when}: ${message}`, { cause: error })
  }
}

function faultsFor(
  random: Random,
  counts: ReadonlyMap<string, number>,
  codesFor: (call: string) => readonly string[],
): Fault[] {
  return [...counts].flatMap(([call, total]) => {
    const codes = codesFor(call)
    return (isLong ? codes : [random.pick(codes)]).flatMap((code) =>
      [false, true].map((forEver): Fault => ({ call, count: random.between(1, total), forEver, code })),
    )
  })
}

/** How many faults were planned, and how many happened: a life with a fault may take another course. */
class Tally {
  planned = 0
  reached = 0

  expectShare(share: number): void {
    expect(this.reached, `of ${this.planned} faults enough happened`).toBeGreaterThan(this.planned * share)
  }
}

interface Trials {
  readonly random: Random
  readonly steps: readonly Step[]
  /** Calls that are not tried (again). */
  readonly tried: Set<string>
  readonly beginning?: Beginning
  readonly codesFor?: (call: string) => readonly string[]
  readonly tally: Tally
}

/** Tries every call that the steps make, except those that were tried already. */
async function tryAll(trials: Trials): Promise<void> {
  const { random, steps, tried, beginning = NEW_ROOT, codesFor = codesOf } = trials
  const { faults } = await liveWithFault(random.fork('life'), steps, null, beginning)
  const counts = new Map([...faults.counts].filter(([call]) => !tried.has(call)))
  for (const call of counts.keys()) tried.add(call)
  const problems: string[] = []
  let reached = 0
  const plans = faultsFor(random, counts, codesFor)
  for (const fault of plans) {
    try {
      // The same random numbers as without the fault, so that the same calls are made up to it.
      if (await tryFault(random.fork('life'), steps, fault, beginning)) reached++
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
  }
  expect(problems).toEqual([])
  const { tally } = trials
  tally.planned += plans.length
  tally.reached += reached
}

test('whatever call fails, once or for ever: answers are true, nothing acknowledged is lost (I1, I4, I8, I11)', () =>
  forSeeds('faults', async (seed) => {
    const random = new Random(seed)
    const tried = new Set<string>()
    const some = randomWorkload(random, { steps: 25, namespaces: 2, largeShare: 0 })
    const tally = new Tally()
    await tryAll({ random, steps: [...orderlyWorkload('clerk', 0), ...some], tried, tally })
    // What is only done when segments are full.
    await tryAll({ random, steps: orderlyWorkload('clerk'), tried, tally })
    tally.expectShare(0.6)
    expect([...tried]).toEqual(
      expect.arrayContaining(['unlink segment', 'rename metadata', 'writeAsync segment']),
    )
  }))

/** A root that was left in the middle of its work: by a kill, or by a power cut. */
async function leftInTheMiddle(random: Random, steps: readonly Step[]): Promise<Beginning> {
  const { machine, history } = await liveWithFault(random, steps, null)
  const moment = random.between(Math.floor(machine.recording.length / 2), machine.recording.length)
  const left = machine.recording.stateAt(moment, random)
  const state = random.chance(0.5) ? left : left.cutPower(random, random.pick(EXTREMES))
  return { state, history: (clock) => history.fork(clock, moment) }
}

test('the same holds while a crash is recovered from, whose recovery it cuts off or not (I1, I2, I4, I8)', () =>
  forSeeds('faults while recovering', async (seed) => {
    const random = new Random(seed)
    const tried = new Set<string>()
    const tally = new Tally()
    for (let round = 0; round < (isLong ? 6 : 1); round++) {
      const before = randomWorkload(random, { steps: 40, namespaces: 2, largeShare: 0.02 })
      const beginning = await leftInTheMiddle(random.fork(`before ${round}`), before)
      const steps = randomWorkload(random, { steps: 8, namespaces: 2, largeShare: 0 }, 1000)
      await tryAll({ random, steps, tried, beginning, tally })
    }
    tally.expectShare(0.4)
    expect([...tried]).toEqual(
      expect.arrayContaining(['read segment', 'unlink segment', 'datasync segment', 'rename content']),
    )
  }))

test('workers that die at any call, once or again and again, lose nothing and leave nobody waiting (I1, I8, I11)', () =>
  forSeeds('deaths of workers', async (seed) => {
    const random = new Random(seed)
    const tried = new Set<string>()
    const some = randomWorkload(random, { steps: 25, namespaces: 2, largeShare: 0 })
    const codesFor = (): readonly string[] => ['DEATH']
    const tally = new Tally()
    const trials = { random, codesFor, tally }
    await tryAll({ ...trials, steps: [...orderlyWorkload('clerk', 0), ...some], tried })
    const beginning = await leftInTheMiddle(random.fork('before'), some)
    await tryAll({ ...trials, steps: orderlyWorkload('clerk', 0), tried: new Set(), beginning })
    // Many of the calls are not only made by workers, and some never.
    tally.expectShare(0.2)
  }))

test('a disk of which any call may fail for a while, for any reason: the same, and then all goes on (I1, I4, I8, I11)', () =>
  forSeeds('a flaky disk', async (seed) => {
    for (let round = 0; round < (isLong ? 100 : 10); round++) {
      const random = new Random(seed).fork(`round ${round}`)
      try {
        await liveOnFlakyDisk(random)
      } catch (error) {
        throw new Error(`round ${round}: ${String(error)}`, { cause: error })
      }
    }
  }))

async function liveOnFlakyDisk(random: Random): Promise<void> {
  const flaky = new Flaky(random.fork('flaky'), random.pick([0.002, 0.01, 0.05]))
  flaky.isFlaky = false
  const machine = new Machine(new DiskState(), random, (disk) => faultyDisk(disk, flaky))
  const history = new History(() => machine.recording.length)
  await machine.run(async () => {
    for (let life = 0; life < 3; life++) {
      const opened = await openOnFlakyDisk(machine, flaky)
      await checkStore(opened.store, history)
      const largeShare = random.pick([0, 0, 0.1])
      const steps = randomWorkload(random, { steps: 30, namespaces: 2, largeShare }, life * 1000)
      flaky.isFlaky = true
      const repairs = (): void => {
        flaky.isFlaky = false
        machine.disk.state.evict(random)
      }
      await workInSpite(opened, steps, history, random.chance(0.5) ? repairs : null)
      expect(machine.disk.openCount, 'file descriptors left open').toBe(0)
    }
  })
  await checkAfterwards({ machine, history }, random)
}

/** After some tries it is not flaky any more. */
async function openOnFlakyDisk(machine: Machine, flaky: Flaky): Promise<WatchedStore> {
  for (let tries = 0; ; tries++) {
    try {
      const opened = await machine.open()
      flaky.isFlaky = false
      return opened
    } catch (error) {
      expectTrue(error, OPENING_CODES)
      expect(machine.disk.openCount, 'file descriptors left open by an opening that failed').toBe(0)
      flaky.isFlaky = tries < 5
    }
  }
}
