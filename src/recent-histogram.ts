/**
 * RecentHistogram owns counts of what was recorded lately: in the span of time that is under way, and the one before it.
 * What is older is forgotten, so that what is over is not taken for what is so now.
 */
import { Histogram, type HistogramCounts } from './histogram.js'

/** Two of them are a minute. */
const SPAN_MS = 30_000

export class RecentHistogram {
  readonly #first: number
  #endMs = -Infinity
  #current: Histogram
  #previous: Histogram

  constructor(first: number) {
    this.#first = first
    this.#current = new Histogram(first)
    this.#previous = new Histogram(first)
  }

  /** `nowMs` is of a clock that only goes forward. */
  record(value: number, nowMs: number): void {
    if (nowMs >= this.#endMs) this.#begin(nowMs)
    this.#current.record(value)
  }

  /** Of at least the last half a minute, and at most the last minute. */
  counts(nowMs: number): HistogramCounts {
    if (nowMs >= this.#endMs) this.#begin(nowMs)
    const both = new Histogram(this.#first)
    both.add(this.#previous)
    both.add(this.#current)
    return both.counts()
  }

  #begin(nowMs: number): void {
    const isNext = nowMs < this.#endMs + SPAN_MS
    this.#previous = isNext ? this.#current : new Histogram(this.#first)
    this.#current = new Histogram(this.#first)
    this.#endMs = isNext ? this.#endMs + SPAN_MS : nowMs + SPAN_MS
  }
}
