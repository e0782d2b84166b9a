import { expect, test } from 'vitest'
import { failureOf } from '../../src/contract/observe.js'
import { ClientTurns } from '../../src/remote/client-turns.js'

test('I9: updates that were given up take no memory, however long those before them wait', async () => {
  const turns = new ClientTurns(1)
  expect(turns.enter()).toBeNull()
  const entered: string[] = []
  const first = turns.enter()!.then(() => entered.push('first'))
  const reason = new Error('no time')
  for (let index = 0; index < 1000; index++) {
    const controller = new AbortController()
    const failing = failureOf(() => turns.enter(controller.signal)!)
    controller.abort(reason)
    expect(await failing).toBe(reason)
    expect(turns.waitingCount).toBeLessThan(10)
  }
  const last = turns.enter()!.then(() => entered.push('last'))
  turns.leave()
  await first
  expect(entered).toEqual(['first'])
  turns.leave()
  await last
  turns.leave()
  expect([turns.waitingCount, turns.enter()]).toEqual([0, null])
})
