/** A plain run always looks at the same cases, so that a change is judged by what it changes; long runs look elsewhere. */
export const FIXED_SEED = 20_261_122

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
