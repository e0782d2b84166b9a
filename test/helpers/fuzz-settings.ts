/**
 * How long property tests look, and from which seed. A plain run always looks at the same cases, so that a change is
 * judged by what it changes; long runs look elsewhere. Set AGENT_STATE_SEED for that or to repeat a failure,
 * AGENT_STATE_RUNS for more cases.
 */
export interface FuzzSettings {
  readonly seed: number
  readonly numRuns: number
}

export const FIXED_SEED = 20_261_122

export function fuzzSettings(numRuns: number): FuzzSettings {
  const { AGENT_STATE_SEED, AGENT_STATE_RUNS } = process.env
  const factor = AGENT_STATE_RUNS === undefined ? 1 : Number(AGENT_STATE_RUNS)
  const seed = AGENT_STATE_SEED === undefined ? FIXED_SEED : Number(AGENT_STATE_SEED)
  return { seed, numRuns: Math.max(1, Math.round(numRuns * factor)) }
}

/** A small, good enough generator (mulberry32), so that one number reproduces a run. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
