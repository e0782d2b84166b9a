import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planKills } from '../../src/replay/kill-plan.js'

test('the same seed gives the same kills, another one gives others', () => {
  expect(planKills(1, 5, 1000)).toEqual(planKills(1, 5, 1000))
  expect(planKills(1, 5, 1000)).not.toEqual(planKills(2, 5, 1000))
})

test('kills come in order, in the middle, as many as asked for', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(20), fc.integer({ min: 20, max: 100_000 }), (seed, kills, batches) => {
      const plan = planKills(seed, kills, batches)
      expect(plan).toHaveLength(kills)
      expect(plan.map(({ acknowledged }) => acknowledged)).toEqual(
        plan.map(({ acknowledged }) => acknowledged).toSorted((one, other) => one - other),
      )
      for (const { acknowledged, delayMs } of plan) {
        expect(acknowledged).toBeGreaterThan(0)
        expect(acknowledged).toBeLessThan(batches)
        expect(delayMs).toBeGreaterThanOrEqual(0)
      }
    }),
  )
})

test('every third kill meets the process that starts after the second', () => {
  const plan = planKills(3, 6, 1000)
  expect(plan[2]?.acknowledged).toBe(plan[1]?.acknowledged)
  expect(plan[5]?.acknowledged).toBe(plan[4]?.acknowledged)
})
