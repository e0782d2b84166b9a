/** Times of operations, kept in a histogram of Node's own (high dynamic range, three digits, little cost per record). */
import { createHistogram } from 'node:perf_hooks'

const NANOSECONDS_PER_MILLISECOND = 1e6
const LONGEST_NANOSECONDS = 10 * 60 * 1e9

export interface LatencySummary {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

export interface Latencies {
  readonly count: number
  /** In milliseconds, as `performance.now()` counts. */
  record(ms: number): void
  summary(): LatencySummary
  reset(): void
}

export function latencies(): Latencies {
  const histogram = createHistogram({ lowest: 1, highest: LONGEST_NANOSECONDS, figures: 3 })
  return {
    get count() {
      return histogram.count
    },
    record: (ms) => {
      const nanoseconds = Math.round(ms * NANOSECONDS_PER_MILLISECOND)
      histogram.record(Math.min(Math.max(nanoseconds, 1), LONGEST_NANOSECONDS))
    },
    summary: () => {
      if (histogram.count === 0) return { p50Us: 0, p99Us: 0, p999Us: 0, maxUs: 0 }
      const at = (percentile: number): number => histogram.percentile(percentile) / 1000
      return { p50Us: at(50), p99Us: at(99), p999Us: at(99.9), maxUs: histogram.max / 1000 }
    },
    reset: () => histogram.reset(),
  }
}
