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
import { codesOf, Faults, faultyDisk, type Fault } from './support/disk/faulty-disk.js'
import { Machine } from './support/disk/machine.js'
import { execute, witnessOf } from './support/execute.js'
import { History } from './support/history.js'
import type { WatchedStore } from './support/in-thread.js'
import { Random } from './support/random.js'
import { forSeeds, tortureSettings } from './support/settings.js'
import { orderlyWorkload, randomWorkload, type Step } from './support/workload.js'

const { minutes, testTimeoutMs } = tortureSettings()
const isLong = minutes > 0
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

/** How the first life of a root went, in which the fault was. */
interface Outcome {
  readonly machine: Machine
  readonly faults: Faults
  readonly history: History
}

async function liveWithFault(random: Random, steps: readonly Step[], fault: Fault | null): Promise<Outcome> {
  const faults = new Faults(fault)
  const machine = new Machine(new DiskState(), random, (disk) => faultyDisk(disk, faults))
  const history = new History(() => machine.recording.length)
  await machine.run(async () => {
    const opened = await openInSpite(machine, fault)
    if (opened !== null) await workInSpite(opened, steps, history, random.chance(0.5) ? faults : null)
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
  repairs: Faults | null,
): Promise<void> {
  const failures: unknown[] = []
  await execute(
    store,
    steps,
    witnessOf(history, (error) => failures.push(error)),
  )
  for (const error of failures) expectTrue(error, [...TRUE_CODES, ...ORDINARY_CODES])
  if (repairs !== null) {
    repairs.repair()
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

/** What the next process finds, and what a power cut may leave to it. */
async function checkAfterwards({ machine, history }: Outcome, random: Random): Promise<void> {
  for (const survival of [null, random.pick(EXTREMES)]) {
    const state = machine.disk.state.copy()
    const next = new Machine(survival === null ? state : state.cutPower(random, survival), random)
    const root = { readTree: () => next.readTree(), open: () => next.open() }
    // A write that got only half into the tree, and was then superseded, leaves a content that nothing explains any more.
    const options = { opensAgain: random.chance(0.2), mayPreserve: true }
    await next.run(() => checkAfterCrash(root, history.fork(), options))
  }
}

async function tryFault(random: Random, steps: readonly Step[], fault: Fault): Promise<boolean> {
  try {
    const outcome = await liveWithFault(random, steps, fault)
    await checkAfterwards(outcome, random)
    return outcome.faults.failed > 0
  } catch (error) {
    const when = fault.forEver ? `from call ${fault.count} on` : `once, at call ${fault.count}`
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`'${fault.call}' fails with ${fault.code} ${when}: ${message}`, { cause: error })
  }
}

function faultsFor(random: Random, counts: ReadonlyMap<string, number>): Fault[] {
  return [...counts].flatMap(([call, total]) => {
    const codes = codesOf(call)
    return (isLong ? codes : [random.pick(codes)]).flatMap((code) =>
      [false, true].map((forEver): Fault => ({ call, count: random.between(1, total), forEver, code })),
    )
  })
}

/** Tries every call that the steps make, except those that were tried already. */
async function tryAll(random: Random, steps: readonly Step[], tried: Set<string>): Promise<void> {
  const { faults } = await liveWithFault(random.fork('life'), steps, null)
  const counts = new Map([...faults.counts].filter(([call]) => !tried.has(call)))
  for (const call of counts.keys()) tried.add(call)
  const problems: string[] = []
  let reached = 0
  const plans = faultsFor(random, counts)
  for (const fault of plans) {
    try {
      // The same random numbers as without the fault, so that the same calls are made up to it.
      if (await tryFault(random.fork('life'), steps, fault)) reached++
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
  }
  expect(problems).toEqual([])
  expect(reached, 'most of the faults happened').toBeGreaterThan(plans.length * 0.6)
}

test('whatever call fails, once or for ever: answers are true, nothing acknowledged is lost (I1, I4, I8, I11)', () =>
  forSeeds('faults', async (seed) => {
    const random = new Random(seed)
    const tried = new Set<string>()
    const some = randomWorkload(random, { steps: 25, namespaces: 2, largeShare: 0 })
    await tryAll(random, [...orderlyWorkload('clerk', 0), ...some], tried)
    // What is only done when segments are full.
    await tryAll(random, orderlyWorkload('clerk'), tried)
    expect([...tried]).toEqual(
      expect.arrayContaining(['unlink segment', 'rename metadata', 'writeAsync segment']),
    )
  }))
