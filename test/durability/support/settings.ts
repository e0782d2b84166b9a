/**
 * The one place where the length of the tests that look at random cases is set. `npm test` runs a short form with a fixed
 * seed; the torture runner (test/torture.mjs) goes on with one seed after the other until the time is over.
 */
import { TestRunner } from 'vitest'
import { FIXED_SEED } from '../../helpers/fuzz-settings.js'
import { countOf } from '../../helpers/tally.js'

export interface TortureSettings {
  /** The first seed. */
  readonly seed: number
  /** More is tried of each seed. */
  readonly isLong: boolean
  /** How long the tests of one file go on together; 0: each of them takes its seeds once. */
  readonly minutes: number
  readonly testTimeoutMs: number
}

export function tortureSettings(env: NodeJS.ProcessEnv = process.env): TortureSettings {
  const minutes = readNumber(env, 'AGENT_STATE_MINUTES', 0)
  return {
    seed: readNumber(env, 'AGENT_STATE_SEED', FIXED_SEED),
    isLong: env['AGENT_STATE_LONG'] === '1',
    minutes,
    // A net for what hangs: the seed that is begun last is brought to its end.
    testTimeoutMs: (env['AGENT_STATE_LONG'] === '1' ? 1_200_000 : 120_000) + 4 * minutes * 60_000,
  }
}

function readNumber(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be a number, not '${text}'`)
  return value
}

/** Every file is run by a process of its own. */
const begun = performance.now()

/**
 * Runs so many seeds (one, if not said), and then as many as there is time for. The time of a file is shared evenly by its
 * tests that are still to come. What fails says which seed it was, the runner is told so, too.
 */
export async function forSeeds(
  what: string,
  run: (seed: number) => Promise<void>,
  { seeds = 1, settings = tortureSettings() }: { seeds?: number; settings?: TortureSettings } = {},
): Promise<void> {
  const left = begun + settings.minutes * 60_000 - performance.now()
  const end = performance.now() + left / testsToCome()
  for (let seed = settings.seed; ; seed++) {
    try {
      await run(seed)
      countOf('random seeds', 1)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const test = TestRunner.getCurrentTest()
      if (test !== undefined) test.meta.failedSeed = seed
      throw new Error(`${what}, AGENT_STATE_SEED=${seed}: ${message}`, { cause: error })
    }
    if (seed + 1 >= settings.seed + seeds && performance.now() >= end) return
  }
}

/** Of this file, the running one included. */
function testsToCome(): number {
  const test = TestRunner.getCurrentTest()
  if (test === undefined) return 1
  type Task = typeof test.file | (typeof test.file.tasks)[number]
  const count = (task: Task): number => {
    if ('tasks' in task) return task.tasks.reduce((sum, each) => sum + count(each), 0)
    const isOver = task.result?.state === 'pass' || task.result?.state === 'fail'
    return isOver || task.mode === 'skip' || task.mode === 'todo' ? 0 : 1
  }
  return Math.max(1, count(test.file))
}

declare module 'vitest' {
  interface TaskMeta {
    /** For the torture runner, which tells how to repeat it. */
    failedSeed?: number
  }
}
