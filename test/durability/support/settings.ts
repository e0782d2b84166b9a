/**
 * The one place where the length of the durability tests is set. `npm test` runs a short form with a fixed seed; a longer
 * run goes on with one seed after the other until the time is over.
 */
export interface TortureSettings {
  /** The first seed. */
  readonly seed: number
  /** How long each kind of test goes on; 0: one seed, and few samples of it. */
  readonly minutes: number
  readonly testTimeoutMs: number
}

const SEED = 20_261_122

export function tortureSettings(env: NodeJS.ProcessEnv = process.env): TortureSettings {
  const minutes = readNumber(env, 'AGENT_STATE_TORTURE_MINUTES', 0)
  return {
    seed: readNumber(env, 'AGENT_STATE_TORTURE_SEED', SEED),
    minutes,
    // A net for what hangs: the seed that is begun last is brought to its end.
    testTimeoutMs: 120_000 + 4 * minutes * 60_000,
  }
}

function readNumber(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be a number, not '${text}'`)
  return value
}

/** Runs one seed, or as many as there is time for. What fails says which seed it was. */
export async function forSeeds(
  what: string,
  run: (seed: number) => Promise<void>,
  settings: TortureSettings = tortureSettings(),
): Promise<void> {
  const end = performance.now() + settings.minutes * 60_000
  for (let seed = settings.seed; ; seed++) {
    try {
      await run(seed)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`${what}, AGENT_STATE_TORTURE_SEED=${seed}: ${message}`, { cause: error })
    }
    if (performance.now() >= end) return
  }
}
