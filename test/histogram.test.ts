import { describe, expect, test } from 'vitest'
import { Histogram, quantile } from '../src/histogram.js'

function counted(first: number, values: readonly number[]) {
  const histogram = new Histogram(first)
  for (const value of values) histogram.record(value)
  return histogram.counts()
}

describe('a histogram', () => {
  test('without values has no buckets', () => {
    expect(counted(1, [])).toEqual({ count: 0, sum: 0, max: 0, buckets: [] })
  })

  test('counts values up to limits that double, each bucket all that are not above it', () => {
    expect(counted(1, [0, 1, 2, 3, 4, 5])).toEqual({
      count: 6,
      sum: 15,
      max: 5,
      buckets: [
        { limit: 1, count: 2 },
        { limit: 2, count: 3 },
        { limit: 4, count: 5 },
        { limit: 8, count: 6 },
      ],
    })
  })

  test('keeps what is above its largest limit in the last bucket', () => {
    const { count, buckets } = counted(0.01, [1e300])
    expect(count).toBe(1)
    expect(buckets.at(-1)!.count).toBe(1)
    expect(buckets.length).toBe(40)
  })

  test('tells quantiles to within a factor of two, and never above the largest value', () => {
    const counts = counted(
      1,
      Array.from({ length: 1000 }, (_, index) => index + 1),
    )
    for (const part of [0.01, 0.5, 0.9, 0.99, 1]) {
      const exact = part * 1000
      expect(quantile(counts, part)).toBeGreaterThanOrEqual(exact)
      expect(quantile(counts, part)).toBeLessThanOrEqual(Math.min(1000, 2 * exact))
    }
    expect(quantile(counted(1, []), 0.5)).toBe(0)
  })
})
