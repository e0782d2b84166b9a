/** Histogram owns counts of values by size: so cheap to fill that it can always be on, and of fixed size. */
const BUCKETS = 40

/** What was counted, at one moment. */
export interface HistogramCounts {
  readonly count: number
  /** Of all values. */
  readonly sum: number
  readonly max: number
  /**
   * How many values were at most `limit`, for limits that double; the last one has all. Limits beyond the largest value are
   * left out.
   */
  readonly buckets: readonly { readonly limit: number; readonly count: number }[]
}

export class Histogram {
  readonly #first: number
  readonly #counts = new Float64Array(BUCKETS)
  #sum = 0
  #max = 0

  /** `first` is the limit of the smallest bucket; what is above the largest one counts in it. */
  constructor(first: number) {
    this.#first = first
  }

  record(value: number): void {
    this.#sum += value
    if (value > this.#max) this.#max = value
    const ratio = value / this.#first
    const bucket = ratio <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log2(ratio)))
    this.#counts[bucket]!++
  }

  /** Takes in what another one with the same limits has counted. */
  add(other: Histogram): void {
    this.#sum += other.#sum
    this.#max = Math.max(this.#max, other.#max)
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket]! += other.#counts[bucket]!
  }

  counts(): HistogramCounts {
    const buckets: { limit: number; count: number }[] = []
    const filled = this.#counts.findLastIndex((count) => count > 0)
    let count = 0
    for (let bucket = 0; bucket <= filled; bucket++) {
      count += this.#counts[bucket]!
      buckets.push({ limit: this.#first * 2 ** bucket, count })
    }
    return { count, sum: this.#sum, max: this.#max, buckets }
  }
}

/** A value that so many of the counted ones do not exceed (`part` from 0 to 1), to within a factor of two; 0 if none was. */
export function quantile({ count, max, buckets }: HistogramCounts, part: number): number {
  const found = buckets.find((bucket) => bucket.count >= part * count)
  return found === undefined ? 0 : Math.min(found.limit, max)
}
