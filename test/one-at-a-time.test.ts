import { expect, test } from 'vitest'
import { deferred, failureOf } from '../src/contract/observe.js'
import { oneAtATime } from '../src/one-at-a-time.js'

test('whoever asks while nobody has answered waits for the same answer; who asks then gets the next', async () => {
  const answers = [deferred<number>(), deferred<number>(), deferred<number>()]
  let count = 0
  const ask = oneAtATime(() => answers[count++]!.promise)
  const first = [ask(), ask()]
  answers[0]!.resolve(1)
  expect(await Promise.all(first)).toEqual([1, 1])
  const second = ask()
  answers[1]!.reject(new Error('refused'))
  expect(await failureOf(() => second)).toMatchObject({ message: 'refused' })
  answers[2]!.resolve(3)
  expect([await ask(), count]).toEqual([3, 3])
})

test('what fails before it is asked keeps nothing', async () => {
  let isOpen = false
  const ask = oneAtATime(() => {
    if (!isOpen) throw new Error('closed')
    return Promise.resolve('answer')
  })
  expect(ask).toThrow('closed')
  isOpen = true
  expect(await ask()).toBe('answer')
})
