import { describe, expect, test } from 'vitest'
import { InFlight } from '../../src/replay/in-flight.js'

interface Deferred {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

function defer(): Deferred {
  let resolve = (): void => {}
  let reject = (_: Error): void => {}
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

/** Whether a promise settles without anything else happening. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  return (await Promise.race([promise.catch(() => {}), Promise.resolve(pending)])) !== pending
}

describe('what is under way (I9)', () => {
  test('is at most so many commits; the next one waits', async () => {
    const inFlight = new InFlight(2, 100)
    const works = [defer(), defer(), defer()]
    await inFlight.start(1, () => works[0]!.promise)
    await inFlight.start(1, () => works[1]!.promise)
    const third = inFlight.start(1, () => works[2]!.promise)
    expect(await isSettled(third)).toBe(false)
    works[1]!.resolve()
    await third
    const done = inFlight.done()
    works[0]!.resolve()
    expect(await isSettled(done)).toBe(false)
    works[2]!.resolve()
    await done
  })

  test('has at most so many bytes, unless it is one commit alone', async () => {
    const inFlight = new InFlight(10, 100)
    const large = defer()
    await inFlight.start(1000, () => large.promise)
    const next = inFlight.start(1, async () => {})
    expect(await isSettled(next)).toBe(false)
    large.resolve()
    await next
    await inFlight.done()
  })

  test('tells whoever waits of a failure, and whoever comes later (I11)', async () => {
    const inFlight = new InFlight(2, 100)
    const work = defer()
    const other = defer()
    await inFlight.start(1, () => work.promise)
    await inFlight.start(1, () => other.promise)
    const waiting = inFlight.start(1, async () => {})
    work.reject(new Error('it broke'))
    await expect(waiting).rejects.toThrow('it broke')
    await expect(inFlight.start(1, async () => {})).rejects.toThrow('it broke')
    const done = inFlight.done()
    expect(await isSettled(done)).toBe(false)
    other.resolve()
    await expect(done).rejects.toThrow('it broke')
  })
})
