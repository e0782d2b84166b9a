import { describe, expect, test } from 'vitest'
import { Pacing } from '../../src/coordinator/pacing.js'

function given(commitMs: number, workMs: number): Pacing {
  const pacing = new Pacing()
  for (let round = 0; round < 100; round++) {
    pacing.noteCommit(commitMs)
    pacing.noteWork(workMs * 10, 10)
  }
  return pacing
}

describe('Pacing', () => {
  test('while nothing is known, everything travels together', () => {
    expect(new Pacing().take(1000, false)).toBe(1000)
    const pacing = new Pacing()
    pacing.noteCommit(1)
    expect(pacing.take(1000, false)).toBe(1000)
    expect(pacing.take(1000, true)).toBe(0)
  })

  test('where the disk is slow, all go into one group, and who comes meanwhile waits for the next', () => {
    const pacing = given(5, 0.004)
    expect(pacing.take(256, false)).toBe(256)
    expect(pacing.take(256, true)).toBe(0)
  })

  test('where the work takes as long as the disk, one half is prepared while the other is committed', () => {
    const pacing = given(0.25, 0.004)
    expect(pacing.take(256, false)).toBe(128)
    expect(pacing.take(128, true)).toBe(128)
  })

  test('few operations are not worth a group of their own while one is under way', () => {
    const pacing = given(0.25, 0.004)
    expect(pacing.take(8, true)).toBe(0)
    expect(pacing.take(8, false)).toBe(8)
  })

  test('one call alone goes at once', () => {
    for (const commitMs of [0, 0.01, 5]) expect(given(commitMs, 0.01).take(1, false)).toBe(1)
  })

  test('what changes is followed', () => {
    const pacing = given(0.25, 0.004)
    for (let round = 0; round < 100; round++) pacing.noteCommit(5)
    expect(pacing.take(256, false)).toBe(256)
  })
})
