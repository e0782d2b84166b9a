import { expect, test } from 'vitest'
import { nearestName } from '../src/nearest-name.js'

const NAMES = [
  'conflictPolicy',
  'detect',
  'durability',
  'repairMetadata',
  'signal',
  'writer',
  'limits',
  'root',
]

test('a slip of the finger leads to the name that was meant', () => {
  const slips: readonly (readonly [string, string])[] = [
    ['conflictpolicy', 'conflictPolicy'],
    ['conflict_policy', 'conflictPolicy'],
    ['durabilty', 'durability'],
    ['durabiliyt', 'durability'],
    ['Signal', 'signal'],
    ['singal', 'signal'],
    ['writter', 'writer'],
    ['rooot', 'root'],
    ['limit', 'limits'],
  ]
  for (const [slip, meant] of slips) {
    expect(nearestName(slip, NAMES), slip).toBe(meant)
  }
})
test('a name that resembles none has no nearest one', () => {
  for (const name of ['', 'x', 'zzzzzzzz', 'policy_conflict', 'completelyDifferent']) {
    expect(nearestName(name, NAMES), name).toBeNull()
  }
  expect(nearestName('a', [])).toBeNull()
})
test('the nearest of several wins, the first one at equal distance', () => {
  expect(nearestName('warnin', ['warn', 'warning'])).toBe('warning')
  expect(nearestName('bbb', ['abb', 'cbb'])).toBe('abb')
  expect(nearestName('warn', ['warning', 'warn'])).toBe('warn')
})
test('a long text is not compared at all', () => {
  expect(nearestName('signal'.repeat(1_000_000), NAMES)).toBeNull()
})
