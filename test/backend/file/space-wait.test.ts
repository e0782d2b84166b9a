import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SpaceWait } from '../../../src/backend/file/space-wait.js'

const clock = vi.hoisted(() => ({ nowMs: 0 }))
vi.mock('node:perf_hooks', () => ({ performance: { now: () => clock.nowMs } }))

beforeEach(() => {
  clock.nowMs = 1000
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => void vi.useRealTimers())

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    clock.nowMs += 10
    await vi.advanceTimersByTimeAsync(10)
  }
}

/** A disk that is full until a test says otherwise. */
function given(waitMs = 2000) {
  const disk = { code: 'ENOSPC' as string | null, looks: 0 }
  const space = new SpaceWait(waitMs, () => {
    disk.looks++
    return Promise.resolve(disk.code)
  })
  return { disk, space }
}

function follow(promise: Promise<void> | null): { state: string } {
  const followed = { state: promise === null ? 'none' : 'waiting' }
  void promise?.then(() => (followed.state = 'over'))
  return followed
}

describe('SpaceWait', () => {
  test('nobody waits while there is room', () => {
    expect(given().space.wait()).toBeNull()
  })

  test('writers wait together, and go on as soon as there is room', async () => {
    const { disk, space } = given()
    space.noteFull()
    const first = space.wait()
    expect(space.wait()).toBe(first)
    const followed = follow(first)
    await pass(500)
    expect(followed.state).toBe('waiting')
    expect(disk.looks).toBeLessThanOrEqual(7)
    disk.code = null
    await pass(100)
    expect(followed.state).toBe('over')
    expect(space.wait()).toBeNull()
  })

  test('I9: they wait for a bounded time since the disk was found full, then they are let through', async () => {
    const { space } = given()
    space.noteFull()
    await pass(1000)
    space.noteFull()
    const followed = follow(space.wait())
    await pass(900)
    expect(followed.state).toBe('waiting')
    await pass(200)
    expect(followed.state).toBe('over')
    expect(space.wait()).toBeNull()
  })

  test('room that was found ends the time: the next full disk is waited for anew', async () => {
    const { space } = given()
    space.noteFull()
    await pass(3000)
    expect(space.wait()).toBeNull()
    space.note('ENOSPC')
    expect(space.wait()).toBeNull()
    space.note(null)
    space.noteFull()
    expect(space.wait()).not.toBeNull()
  })

  test('I11: stopping ends the waiting', async () => {
    const { space } = given()
    space.noteFull()
    const followed = follow(space.wait())
    space.stop()
    await pass(100)
    expect(followed.state).toBe('over')
    expect(space.wait()).toBeNull()
  })

  test('with no time to wait nobody waits', () => {
    const { space } = given(0)
    space.noteFull()
    expect(space.wait()).toBeNull()
  })

  test('tells for how long there has been no room, until some is found or nobody has looked for a minute', () => {
    const { space } = given()
    expect(space.fullMs).toBe(0)
    space.note('ENOSPC')
    expect(space.fullMs).toBe(0)
    space.noteFull()
    clock.nowMs += 59_000
    expect(space.fullMs).toBe(59_000)
    space.note('ENOSPC')
    clock.nowMs += 59_000
    expect(space.fullMs).toBe(118_000)
    clock.nowMs += 1000
    expect(space.fullMs).toBe(0)
    space.noteFull()
    expect(space.fullMs).toBe(119_000)
    space.note(null)
    expect(space.fullMs).toBe(0)
  })
})
