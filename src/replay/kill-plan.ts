import { createHash } from 'node:crypto'

/** A kill comes some time after so many batches were acknowledged in all. */
export interface Kill {
  readonly acknowledged: number
  readonly delayMs: number
}

const EARLIEST = 0.05
const LATEST = 0.9
const DELAY_MS_MAX = 40
/** Starting takes longer than a batch. */
const START_DELAY_MS_MAX = 300

/**
 * When to kill, in order; the same for the same seed. The points are spread over the middle of the run. Every third
 * kill has the point of the one before it, so it meets the next process while that starts and recovers.
 */
export function planKills(seed: number, kills: number, batches: number): Kill[] {
  const points = Array.from({ length: kills }, (_, index) => {
    const part = EARLIEST + (LATEST - EARLIEST) * random(seed, 2 * index)
    return Math.max(1, Math.round(part * batches))
  }).toSorted((one, other) => one - other)
  return points.map((point, index) => {
    const duringStart = index % 3 === 2
    const acknowledged = duringStart ? (points[index - 1] ?? point) : point
    const delayMsMax = duringStart ? START_DELAY_MS_MAX : DELAY_MS_MAX
    const delayMs = Math.floor(random(seed, 2 * index + 1) * delayMsMax)
    return { acknowledged, delayMs }
  })
}

/** A number from 0 up to 1, the same for the same seed and index. */
function random(seed: number, index: number): number {
  return createHash('sha256').update(`${seed} ${index}`).digest().readUInt32LE() / 2 ** 32
}
