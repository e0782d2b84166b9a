import { expect, test } from 'vitest'
import { failureOf } from '../../src/contract/observe.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import { ClientCalls } from '../../src/remote/client-calls.js'

function given() {
  const written: string[] = []
  let lastId = 0
  const limits = { ...DEFAULT_LIMITS, connectionOperationsMax: 1 }
  const calls = new ClientCalls(
    limits,
    () => {},
    () => {},
  )
  const ask = (name: string, namespace: string, signal?: AbortSignal): Promise<string> => {
    const write = (id: number): void => {
      lastId = id
      written.push(name)
    }
    return calls.ask({ operations: 1, bytes: 0, kind: 'other', namespace, write }, signal)
  }
  /** As the host answers the one call for which there are credits. */
  const answer = (): void => {
    const name = written.at(-1)
    calls.answered(lastId)?.resolve(name)
  }
  return { calls, ask, answer, written }
}

test('I9: calls that were given up take no memory, however long those before them wait', async () => {
  const { calls, ask, answer, written } = given()
  const sent = ask('sent', 'n')
  const live = [ask('first', 'n'), ask('second', 'm')]
  const reason = new Error('no time')
  for (let index = 0; index < 1000; index++) {
    const controller = new AbortController()
    const failing = failureOf(() => ask('given up', `n${index % 7}`, controller.signal))
    controller.abort(reason)
    expect(await failing).toBe(reason)
    expect(calls.waitingCount).toBeLessThan(10)
  }
  live.push(ask('third', 'n'))
  for (let count = 0; count < 4; count++) answer()
  expect(await Promise.all([sent, ...live])).toEqual(['sent', 'first', 'second', 'third'])
  expect(written).toEqual(['sent', 'first', 'second', 'third'])
  await calls.whenIdle()
})

test('I9: of calls that wait, and some of which are given up, the others keep their places', async () => {
  const { ask, answer, written } = given()
  const answers = [ask('sent', 'n')]
  const controller = new AbortController()
  const failing: Promise<unknown>[] = []
  for (let index = 0; index < 100; index++) {
    answers.push(ask(`n${index}`, 'n'))
    failing.push(failureOf(() => ask('given up', 'n', controller.signal)))
    if (index === 50) controller.abort(new Error('no time'))
  }
  await Promise.all(failing)
  for (let count = 0; count < 101; count++) answer()
  await Promise.all(answers)
  expect(written).toEqual(['sent', ...Array.from({ length: 100 }, (_, index) => `n${index}`)])
})
