import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { onAbort, orAborted } from '../src/abort.js'
import { deferred, failureOf, nextTurn } from '../src/contract/observe.js'

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('onAbort', () => {
  test('calls back once, at once if the signal has aborted', () => {
    const controller = new AbortController()
    const called: string[] = []
    onAbort(controller.signal, () => called.push('a'))
    onAbort(controller.signal, () => called.push('b'))
    controller.abort()
    expect(called).toEqual(['a', 'b'])
    onAbort(controller.signal, () => called.push('c'))
    expect(called).toEqual(['a', 'b', 'c'])
  })

  test('a callback that was taken back is not called, not even by another one in the same moment', () => {
    const controller = new AbortController()
    const called: string[] = []
    const offs: (() => void)[] = []
    onAbort(controller.signal, () => {
      called.push('a')
      for (const off of offs) off()
    })
    offs.push(onAbort(controller.signal, () => called.push('b')))
    const off = onAbort(controller.signal, () => called.push('c'))
    off()
    off()
    controller.abort()
    expect(called).toEqual(['a'])
  })

  test('I9: thousands of calls under one signal share one listener, and none stays behind', () => {
    const { signal } = new AbortController()
    const offs = Array.from({ length: 5000 }, () => onAbort(signal, () => {}))
    expect(listenersOf(signal)).toBe(1)
    for (const off of offs) off()
    expect(listenersOf(signal)).toBe(0)
    const again = onAbort(signal, () => {})
    expect(listenersOf(signal)).toBe(1)
    again()
  })
})

describe('orAborted', () => {
  test('is the promise itself where there is no signal', () => {
    const promise = Promise.resolve(1)
    expect(orAborted(promise)).toBe(promise)
    expect(orAborted(promise, undefined, undefined)).toBe(promise)
  })

  test('is what comes first: the value, the failure, or the reason of one of the signals', async () => {
    const [one, two] = [new AbortController(), new AbortController()]
    expect(await orAborted(Promise.resolve(1), one.signal)).toBe(1)
    const failing = Promise.reject(new Error('failed'))
    expect(await failureOf(() => orAborted(failing, one.signal))).toMatchObject({ message: 'failed' })
    const never = deferred()
    const waiting = failureOf(() => orAborted(never.promise, one.signal, undefined, two.signal))
    two.abort(new Error('enough'))
    one.abort(new Error('too late'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    expect(await failureOf(() => orAborted(never.promise, two.signal))).toMatchObject({ message: 'enough' })
  })

  test('what the promise fails with after the abort disturbs nobody', async () => {
    const controller = new AbortController()
    const late = deferred()
    const waiting = failureOf(() => orAborted(late.promise, controller.signal))
    controller.abort(new Error('enough'))
    await waiting
    late.reject(new Error('nobody listens'))
    await nextTurn()
  })

  test('I9: leaves no listener on the other signals when one aborts, also if the promise never settles', async () => {
    const [one, long] = [new AbortController(), new AbortController()]
    const waiting = failureOf(() => orAborted(deferred().promise, long.signal, one.signal, long.signal))
    one.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    expect(listenersOf(long.signal)).toBe(0)
    await failureOf(() => orAborted(deferred().promise, long.signal, one.signal))
    expect(listenersOf(long.signal)).toBe(0)
  })

  test('a signal that does not let go of its listener disturbs nobody', async () => {
    const refusing = {
      aborted: false,
      addEventListener: () => {},
      removeEventListener: () => {
        throw new Error('not mine')
      },
    } as unknown as AbortSignal
    expect(await orAborted(Promise.resolve(1), refusing)).toBe(1)
    await nextTurn()
  })

  test('I9: leaves no listener on a signal that lives long', async () => {
    const { signal } = new AbortController()
    for (let index = 0; index < 100; index++) await orAborted(Promise.resolve(), signal)
    await failureOf(() => orAborted(Promise.reject(new Error('failed')), signal))
    await nextTurn()
    expect(listenersOf(signal)).toBe(0)
  })
})
