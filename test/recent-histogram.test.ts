import { expect, test } from 'vitest'
import { RecentHistogram } from '../src/recent-histogram.js'

test('what was recorded counts for half a minute at least, and for a minute at most', () => {
  const recent = new RecentHistogram(1)
  recent.record(3, 1000)
  recent.record(5, 30_999)
  expect(recent.counts(30_999)).toMatchObject({ count: 2, sum: 8, max: 5 })
  recent.record(1, 31_000)
  expect(recent.counts(60_999)).toMatchObject({ count: 3, sum: 9, max: 5 })
  expect(recent.counts(61_000)).toMatchObject({ count: 1, sum: 1, max: 1 })
  expect(recent.counts(91_000)).toEqual({ count: 0, sum: 0, max: 0, buckets: [] })
})

test('after a long silence it begins anew, whether it was asked meanwhile or not', () => {
  for (const isAsked of [true, false]) {
    const recent = new RecentHistogram(1)
    recent.record(3, 0)
    if (isAsked) recent.counts(500_000)
    recent.record(7, 1_000_000)
    expect(recent.counts(1_000_000)).toMatchObject({ count: 1, sum: 7, max: 7 })
    expect(recent.counts(1_000_000 + 29_999)).toMatchObject({ count: 1 })
  }
})

test('the buckets of both spans are one', () => {
  const recent = new RecentHistogram(1)
  for (const [value, nowMs] of [
    [1, 0],
    [8, 1],
    [2, 30_000],
  ] as const)
    recent.record(value, nowMs)
  expect(recent.counts(30_001).buckets).toEqual([
    { limit: 1, count: 1 },
    { limit: 2, count: 2 },
    { limit: 4, count: 2 },
    { limit: 8, count: 3 },
  ])
})
