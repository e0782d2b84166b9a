import { describe, expect, test } from 'vitest'
import { NAMESPACE_ITSELF, TreeWaiters } from '../../../src/backend/file/tree-waiters.js'
import { failureOf, nextTurn } from '../../../src/contract/observe.js'

const STUCK = new Error('stuck')

function follow(promise: Promise<void>): { state: string } {
  const followed = { state: 'pending' }
  promise.then(
    () => (followed.state = 'resolved'),
    (error: unknown) => (followed.state = String(error)),
  )
  return followed
}

describe('TreeWaiters', () => {
  test('who waits for nothing does not wait', async () => {
    const waiters = new TreeWaiters()
    await waiters.wait('n', [])
    expect(waiters.isEmpty).toBe(true)
  })

  test('resolves when all keys have come at their revision or a later one, and counts them', async () => {
    const waiters = new TreeWaiters()
    let steps = 0
    const revisions = [
      ['a', 5],
      ['b', 6],
    ] as const
    const waiting = follow(waiters.waitForAll('n', revisions, () => void steps++))
    waiters.done('n', 'a', 4)
    waiters.done('m', 'a', 9)
    expect(steps).toBe(0)
    waiters.done('n', 'a', 5)
    waiters.done('n', 'a', 5)
    await nextTurn()
    expect([waiting.state, steps]).toEqual(['pending', 1])
    waiters.done('n', 'b', 7)
    await nextTurn()
    expect([waiting.state, steps, waiters.isEmpty]).toEqual(['resolved', 2, true])
  })

  test('one who waits for a later revision of the key goes on waiting', async () => {
    const waiters = new TreeWaiters()
    const early = follow(waiters.wait('n', [['a', 1]]))
    const late = follow(waiters.wait('n', [['a', 2]]))
    waiters.done('n', 'a', 1)
    await nextTurn()
    expect([early.state, late.state, waiters.has('n')]).toEqual(['resolved', 'pending', true])
    waiters.done('n', 'a', 2)
    expect(waiters.has('n')).toBe(false)
  })

  test('a stuck key rejects those who wait for it, once, and nobody else', async () => {
    const waiters = new TreeWaiters()
    const both = failureOf(() =>
      waiters.wait('n', [
        ['a', 1],
        ['b', 1],
      ]),
    )
    const other = follow(waiters.wait('n', [['b', 1]]))
    waiters.failed('n', 'a', STUCK)
    waiters.failed('n', 'missing', STUCK)
    waiters.failed('missing', 'a', STUCK)
    expect(await both).toBe(STUCK)
    waiters.done('n', 'b', 1)
    await nextTurn()
    expect([other.state, waiters.isEmpty]).toEqual(['resolved', true])
  })

  test('who waits for all is told of the first failure when each key has come or failed', async () => {
    const waiters = new TreeWaiters()
    const revisions = [
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ] as const
    const waiting = follow(waiters.waitForAll('n', revisions, () => {}))
    waiters.failed('n', 'b', STUCK)
    waiters.failed('n', 'b', new Error('again'))
    waiters.done('n', 'a', 1)
    await nextTurn()
    expect([waiting.state, waiters.has('n')]).toEqual(['pending', true])
    waiters.failed('n', 'c', new Error('later'))
    await nextTurn()
    expect([waiting.state, waiters.isEmpty]).toEqual([String(STUCK), true])
  })

  test('who begins to wait while another one is told waits like any other', async () => {
    const waiters = new TreeWaiters()
    let second: Promise<void> | null = null
    const revisions = [
      ['a', 1],
      ['stuck', 1],
    ] as const
    const first = follow(
      waiters.waitForAll('n', revisions, () => {
        waiters.namespaceFailed('n', STUCK)
        second = waiters.wait('n', [['b', 2]])
      }),
    )
    waiters.done('n', 'a', 1)
    await nextTurn()
    expect([first.state, waiters.has('n')]).toEqual([String(STUCK), true])
    waiters.done('n', 'b', 2)
    await (second as Promise<void> | null)
    expect(second).not.toBeNull()
    expect(waiters.isEmpty).toBe(true)
  })

  test('a namespace that was made or removed settles all older changes of it', async () => {
    const waiters = new TreeWaiters()
    const older = follow(waiters.wait('n', [['a', 4]]))
    const itself = follow(waiters.wait('n', [[NAMESPACE_ITSELF, 5]]))
    const later = follow(waiters.wait('n', [['a', 6]]))
    waiters.namespaceDone('n', 5)
    await nextTurn()
    expect([older.state, itself.state, later.state]).toEqual(['resolved', 'resolved', 'pending'])
  })

  test('I11: whoever is left can be rejected, by namespace and altogether', async () => {
    const waiters = new TreeWaiters()
    const waits = [
      waiters.wait('n', [
        ['a', 1],
        ['b', 2],
      ]),
      waiters.wait('n', [[NAMESPACE_ITSELF, 1]]),
      waiters.wait('m', [['a', 1]]),
      waiters.wait('o', [['a', 1]]),
    ].map(follow)
    waiters.namespaceFailed('n', STUCK)
    await nextTurn()
    expect(waits.map(({ state }) => state)).toEqual([String(STUCK), String(STUCK), 'pending', 'pending'])
    waiters.rejectAll(STUCK)
    await nextTurn()
    expect(new Set(waits.map(({ state }) => state))).toEqual(new Set([String(STUCK)]))
    expect(waiters.isEmpty).toBe(true)
  })
})
