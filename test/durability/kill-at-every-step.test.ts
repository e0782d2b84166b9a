/**
 * A process is killed with SIGKILL at one step of the protocol after the other: before the system call, after it, and in
 * the middle of a write. Then the files are looked at as they lie, the root is opened again, and everything that was
 * acknowledged must be there.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readBareTree } from './support/bare-tree.js'
import { checkAfterCrash, checkCleanRoot, type RootUnderTest } from './support/check-root.js'
import { History } from './support/history.js'
import { backendOn, openWatched } from './support/in-thread.js'
import type { KillPlan } from './support/kill/kill-switch.js'
import { buildChild, retell, runChild, type ChildEnd, type ChildProgram } from './support/kill/run-child.js'
import { Random } from './support/random.js'
import { forSeeds, tortureSettings } from './support/settings.js'
import { orderlyWorkload, randomWorkload, type Step } from './support/workload.js'

vi.setConfig({ testTimeout: tortureSettings().testTimeoutMs })

const AT_ONCE = 2
let program: ChildProgram
let directory = ''
let runs = 0

beforeAll(async () => {
  program = await buildChild()
  directory = mkdtempSync(join(tmpdir(), 'agent-state-kill-'))
})

afterAll(() => {
  program.remove()
  rmSync(directory, { recursive: true, force: true })
})

interface Run {
  readonly root: string
  readonly history: History
  readonly end: ChildEnd
}

/** Lets a child do its work in a new root, or in the one of an earlier run. */
async function run(
  steps: readonly Step[],
  plan: KillPlan | null,
  before: { readonly root: string; readonly history: History } | null = null,
): Promise<Run> {
  const workplace = join(directory, String(runs++))
  mkdirSync(workplace)
  const root = before?.root ?? join(workplace, 'root')
  const history = before?.history ?? new History()
  const end = await runChild(program, { root, steps, plan, listSteps: plan === null }, workplace)
  expect(retell(end.reports, steps, history), end.stderr).toEqual([])
  return { root, history, end }
}

function rootAt(path: string): RootUnderTest {
  return { readTree: () => readBareTree(path), open: () => openWatched(backendOn(path)) }
}

/** How often each step of the protocol is taken in an undisturbed run. */
async function countSteps(steps: readonly Step[]): Promise<Map<string, number>> {
  const { end, root, history } = await run(steps, null)
  expect(end, end.stderr).toMatchObject({ exitCode: 0, signal: null })
  await checkCleanRoot(rootAt(root), history)
  const counts = new Map<string, number>()
  for (const told of end.reports) {
    if (told.kind !== 'step') continue
    const name = `${told.thread}: ${told.name}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

/** The steps that the promises are about. Others are only taken in a long run. */
const CORE_STEPS = [
  'main: rename format',
  'main: writeAsync segment',
  'main: datasyncAsync segment',
  'main: writeAsync checkpoint',
  'main: datasyncAsync checkpoint',
  'worker: create segment',
  'worker: write segment',
  'worker: sync segment',
  'worker: unlink segment',
  'worker: create temporary',
  'worker: write temporary',
  // Where the origin's crash switch aborted: the temporary file is complete, its path still shows the old value.
  'worker: sync temporary',
  'worker: rename content',
  'worker: rename metadata',
  'worker: sync content',
  'worker: sync metadata',
  'worker: makeDirectory content',
  'worker: removeDirectory content',
  'worker: unlink content',
  'worker: unlink metadata',
]

function plansFor(random: Random, counts: ReadonlyMap<string, number>, isLong: boolean): KillPlan[] {
  const names = isLong ? [...counts.keys()] : CORE_STEPS
  const plans = names.flatMap((name) => {
    const [thread = '', step = ''] = name.split(': ')
    const moments = step.startsWith('write') ? MOMENTS : MOMENTS.filter((when) => when !== 'half')
    return (isLong ? moments : [random.pick(moments)]).map((when): KillPlan => {
      const count = random.between(1, counts.get(name) ?? 1)
      return { thread: thread as KillPlan['thread'], step, count, when }
    })
  })
  return random.shuffled(plans)
}

const MOMENTS = ['before', 'half', 'after'] as const

/** Works off the items, a few at a time. */
async function forAll<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await act(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Kills the work, then each of the openings that follow, and looks at what is left. Returns how many were killed. */
async function killAndCheck(steps: readonly Step[], plans: readonly KillPlan[]): Promise<number> {
  let killed = 0
  let last: Run | null = null
  try {
    for (const plan of plans) {
      last = await run(last === null ? steps : [], plan, last)
      if (last.end.signal === 'SIGKILL') killed++
      else expect(last.end, last.end.stderr).toMatchObject({ exitCode: 0 })
    }
    if (last !== null) await checkAfterCrash(rootAt(last.root), last.history)
  } catch (error) {
    const places = plans.map(
      ({ when, count, step, thread }) => `${when} call ${count} of '${thread}: ${step}'`,
    )
    throw new Error(`killed ${places.join(', then ')}: ${String(error)}`, { cause: error })
  }
  return killed
}

function workFor(random: Random): Step[] {
  return [
    ...randomWorkload(random, { steps: 40, namespaces: 2, largeShare: 0.02 }),
    ...orderlyWorkload('clerk'),
  ]
}

test('a process killed at any step of the protocol loses nothing acknowledged and leaves nothing partial (I1, I4, I5)', () =>
  forSeeds('kill at every step', async (seed) => {
    const random = new Random(seed)
    const steps = workFor(random)
    // The orderly part alone takes each step this often, so that the whole of it does too, whatever the timing.
    const counts = await countSteps(orderlyWorkload('clerk'))
    expect([...counts.keys()], 'the workload takes every step').toEqual(expect.arrayContaining(CORE_STEPS))
    const plans = plansFor(random, counts, tortureSettings().isLong)
    let killed = 0
    await forAll(plans, async (plan) => {
      const count = await killAndCheck(steps, [plan])
      killed += count
    })
    expect(killed, 'nearly all of the steps were reached').toBeGreaterThan(plans.length * 0.8)
  }))

/** What an opening does that finds a backlog. */
const RECOVERY_STEPS = [
  'main: writeAsync checkpoint',
  'worker: create segment',
  'worker: rename content',
  'worker: sync content',
  'worker: rename metadata',
  'worker: unlink segment',
]

test('an opening that is killed while it recovers, again and again, has lost nothing (I1, I6)', () =>
  forSeeds('kill while recovering', async (seed) => {
    const random = new Random(seed)
    const steps = workFor(random)
    const isLong = tortureSettings().isLong
    let killed = 0
    const rounds = random.shuffled(RECOVERY_STEPS).slice(0, isLong ? undefined : 3)
    await forAll(rounds, async (name) => {
      // Killed right after a change became durable, and before the tree shows it.
      const first: KillPlan = {
        thread: 'main',
        step: 'datasyncAsync segment',
        count: random.between(1, 15),
        when: 'after',
      }
      const again = [name, random.pick(RECOVERY_STEPS)].map((step): KillPlan => {
        const thread = step.startsWith('main') ? 'main' : 'worker'
        const when = random.pick(['before', 'after'] as const)
        return { thread, step: step.slice(thread.length + 2), count: 1, when }
      })
      const count = await killAndCheck(steps, [first, ...again])
      killed += count
    })
    expect(killed, 'openings were killed, too').toBeGreaterThan(rounds.length)
  }))
