import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BoundedIterator, type IteratorHooks } from '../src/bounded-iterator.js'
import { collect, failureOf, nextTurn } from '../src/contract/observe.js'

function given(itemsMax = 10, signal?: AbortSignal, onEmpty?: IteratorHooks<number>['onEmpty']) {
  const hooks = { closed: 0 }
  const made = new BoundedIterator<number>(
    itemsMax,
    { onClose: () => void hooks.closed++, ...(onEmpty === undefined ? undefined : { onEmpty }) },
    signal,
  )
  return { iterator: made, hooks }
}

const ended = { done: true, value: undefined }
const item = (value: number) => ({ done: false, value })

describe('BoundedIterator', () => {
  test('gives items in their order, to those who wait and to those who come', async () => {
    const { iterator } = given()
    const waiting = [iterator.next(), iterator.next()]
    for (const value of [1, 2, 3]) expect(iterator.push(value)).toBe(true)
    expect(await Promise.all([...waiting, iterator.next()])).toEqual([item(1), item(2), item(3)])
  })

  test('I9: takes no more than its bound, and says so', async () => {
    const { iterator } = given(2)
    expect([iterator.push(1), iterator.isFull, iterator.push(2), iterator.isFull, iterator.push(3)]).toEqual([
      true,
      false,
      true,
      true,
      false,
    ])
    await iterator.next()
    expect([iterator.isFull, iterator.push(4)]).toEqual([false, true])
    iterator.end()
    expect(await collect(iterator)).toEqual([2, 4])
  })

  test('ends after what is buffered, and stays ended', async () => {
    const { iterator, hooks } = given()
    iterator.push(1)
    iterator.end()
    expect([iterator.push(2), hooks.closed]).toEqual([false, 1])
    expect(await collect(iterator)).toEqual([1])
    iterator.fail(new Error('too late'))
    expect([await iterator.next(), hooks.closed]).toEqual([ended, 1])
  })

  test('fails after what is buffered, once; then it has ended', async () => {
    const { iterator, hooks } = given()
    iterator.push(1)
    iterator.fail(new Error('lost'))
    expect(await iterator.next()).toEqual(item(1))
    expect(await failureOf(() => iterator.next())).toMatchObject({ message: 'lost' })
    expect([await iterator.next(), await iterator.next(), hooks.closed]).toEqual([ended, ended, 1])
  })

  test('I11: all who wait are answered at the end, and one of them is told of a failure', async () => {
    const done = given()
    const waiting = [done.iterator.next(), done.iterator.next()]
    done.iterator.end()
    expect(await Promise.all(waiting)).toEqual([ended, ended])
    const failed = given()
    const first = failureOf(() => failed.iterator.next())
    const second = failed.iterator.next()
    failed.iterator.fail(new Error('lost'))
    expect([await first, await second]).toEqual([new Error('lost'), ended])
    expect(await failed.iterator.next()).toEqual(ended)
  })

  test('leaving it drops what is buffered and tells the producer', async () => {
    const { iterator, hooks } = given()
    iterator.push(1)
    iterator.push(2)
    for await (const value of iterator) {
      expect(value).toBe(1)
      break
    }
    expect([hooks.closed, iterator.push(3)]).toEqual([1, false])
    expect(await iterator.next()).toEqual(ended)
    expect(await iterator.return()).toEqual(ended)
    expect(hooks.closed).toBe(1)
  })

  test('leaving one that has failed forgets the failure', async () => {
    const { iterator } = given()
    iterator.fail(new Error('lost'))
    await iterator.return()
    expect(await iterator.next()).toEqual(ended)
  })

  test('I11: an abort fails it with the reason, at once, and drops what is buffered', async () => {
    const controller = new AbortController()
    const { iterator, hooks } = given(10, controller.signal)
    const waiting = failureOf(() => iterator.next())
    controller.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    expect([hooks.closed, iterator.push(1), await iterator.next()]).toEqual([1, false, ended])
    const other = new AbortController()
    const buffered = given(10, other.signal)
    buffered.iterator.push(1)
    other.abort(new Error('enough'))
    expect(await failureOf(() => buffered.iterator.next())).toMatchObject({ message: 'enough' })
    expect(await buffered.iterator.next()).toEqual(ended)
  })

  test('a signal that has aborted before is an abort', async () => {
    const { iterator, hooks } = given(10, AbortSignal.abort(new Error('enough')))
    expect(hooks.closed).toBe(1)
    expect(await failureOf(() => iterator.next())).toMatchObject({ message: 'enough' })
  })

  test('an abort after the end changes nothing', async () => {
    const controller = new AbortController()
    const { iterator, hooks } = given(10, controller.signal)
    iterator.push(1)
    iterator.end()
    controller.abort(new Error('enough'))
    expect([await collect(iterator), hooks.closed]).toEqual([[1], 1])
  })

  test('when it has run empty, what stands for dropped items comes first, also at the end', async () => {
    let missed = 0
    const { iterator } = given(1, undefined, () => {
      if (missed === 0) return null
      const told = -missed
      missed = 0
      return told
    })
    iterator.push(1)
    for (let index = 0; index < 3; index++) if (!iterator.push(2)) missed++
    expect(await iterator.next()).toEqual(item(1))
    expect(await iterator.next()).toEqual(item(-3))
    iterator.push(4)
    missed = 2
    iterator.end()
    expect(await collect(iterator)).toEqual([4, -2])
  })

  test('what stands for dropped items is not given any more to who has left, nor instead of the reason of an abort', async () => {
    const left = given(1, undefined, () => -3)
    await left.iterator.return()
    expect(await left.iterator.next()).toEqual(ended)
    const endedFirst = given(1, undefined, () => -3)
    endedFirst.iterator.end()
    await endedFirst.iterator.return()
    expect(await endedFirst.iterator.next()).toEqual(ended)
    const controller = new AbortController()
    const aborted = given(1, controller.signal, () => -3)
    controller.abort(new Error('enough'))
    expect(await failureOf(() => aborted.iterator.next())).toMatchObject({ message: 'enough' })
    expect(await aborted.iterator.next()).toEqual(ended)
    const before = given(1, AbortSignal.abort(new Error('before')), () => -3)
    expect(await failureOf(() => before.iterator.next())).toMatchObject({ message: 'before' })
  })

  test('every item that was taken is given once, in order, whoever comes first', async () => {
    const step = fc.constantFrom('push' as const, 'next' as const, 'turn' as const)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, max) => {
          const { iterator } = given(max)
          const taken: number[] = []
          const asked: Promise<IteratorResult<number, undefined>>[] = []
          for (const [index, each] of steps.entries()) {
            if (each === 'push' && iterator.push(index)) taken.push(index)
            if (each === 'next') asked.push(iterator.next())
            if (each === 'turn') await nextTurn()
          }
          iterator.end()
          const found = (await Promise.all(asked)).flatMap((result) => (result.done ? [] : [result.value]))
          expect([...found, ...(await collect(iterator))]).toEqual(taken)
        },
      ),
    )
  })
})
