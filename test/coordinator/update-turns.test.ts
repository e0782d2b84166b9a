import { describe, expect, test } from 'vitest'
import { UpdateTurns, type Turn } from '../../src/coordinator/update-turns.js'
import { deferred, failureOf, nextTurn } from '../../src/contract/observe.js'

/** Runs an update whose function waits for the test. */
function begin(turns: UpdateTurns, key: string, signal?: AbortSignal) {
  const ending = deferred<string>()
  const run = { isRunning: false, end: ending.resolve, fail: ending.reject, result: Promise.resolve('') }
  run.result = turns.run(key, [signal], () => {
    run.isRunning = true
    return ending.promise
  })
  return run
}

/** A function of an update that gives this. */
function give<T>(value: T): () => Promise<T> {
  return async () => value
}

describe('turns', () => {
  test('updates of one key take turns in the order of the calls, those of others go on', async () => {
    const turns = new UpdateTurns()
    const [a, b, c, other] = [begin(turns, 'k'), begin(turns, 'k'), begin(turns, 'k'), begin(turns, 'l')]
    const running = (): boolean[] => [a, b, c, other].map(({ isRunning }) => isRunning)
    expect(running()).toEqual([true, false, false, true])
    a.end('a')
    expect(await a.result).toBe('a')
    await nextTurn()
    expect(running()).toEqual([true, true, false, true])
    b.fail(new Error('b'))
    expect(await failureOf(() => b.result)).toMatchObject({ message: 'b' })
    await nextTurn()
    expect(running()).toEqual([true, true, true, true])
    c.end('c')
    other.end('other')
    await Promise.all([c.result, other.result])
    expect(turns.size).toBe(0)
  })

  test('say who has held which key for how long, and how many wait; who keeps others waiting comes first', async () => {
    let nowMs = 100
    const turns = new UpdateTurns(() => nowMs)
    const asker = { writer: { writerId: 'ann' }, isConnected: true }
    const first = turns.enter('k', null, () => {}, asker)
    const second = turns.enter('k', null, () => {})
    nowMs = 150
    const other = turns.enter('l', null, () => {})
    const waiting = turns.enter('l', null, () => {})
    nowMs = 1100
    expect(turns.held()).toEqual([
      { turn: first, heldMs: 1000, waiting: 1 },
      { turn: other, heldMs: 950, waiting: 1 },
    ])
    turns.leave(second)
    expect(turns.held().map(({ turn }) => turn)).toEqual([other, first])
    turns.leave(waiting)
    expect(turns.held().map(({ turn }) => turn)).toEqual([first, other])
    expect(first.asker).toEqual(asker)
    const third = turns.enter('k', null, () => {})
    turns.leave(first)
    nowMs = 1200
    // The next one has had its turn since it came.
    expect(turns.held()).toEqual([
      { turn: other, heldMs: 1050, waiting: 0 },
      { turn: third, heldMs: 100, waiting: 0 },
    ])
    for (const turn of [third, other]) turns.leave(turn)
    expect(turns.held()).toEqual([])
  })

  test('one that is given up leaves its place in the line, and those behind it go on', async () => {
    const turns = new UpdateTurns()
    const controller = new AbortController()
    const first = begin(turns, 'k')
    const second = begin(turns, 'k', controller.signal)
    const third = begin(turns, 'k')
    controller.abort(new Error('enough'))
    expect(await failureOf(() => second.result)).toMatchObject({ message: 'enough' })
    first.end('')
    await first.result
    await nextTurn()
    expect([second.isRunning, third.isRunning]).toEqual([false, true])
    third.end('')
    await third.result
    expect(turns.size).toBe(0)
  })

  test('one that is given up in the moment in which its turn comes passes it on', async () => {
    const turns = new UpdateTurns()
    const controller = new AbortController()
    const first = begin(turns, 'k')
    const second = begin(turns, 'k', controller.signal)
    const third = begin(turns, 'k')
    second.end('second')
    third.end('third')
    const results = Promise.allSettled([second.result, third.result])
    first.result = first.result.finally(() => controller.abort(new Error('enough')))
    first.end('')
    await first.result
    expect((await results)[1]).toEqual({ status: 'fulfilled', value: 'third' })
    expect(turns.size).toBe(0)
  })

  test('I11: with a signal that has aborted before nobody waits in line', async () => {
    const turns = new UpdateTurns()
    const first = begin(turns, 'k')
    const aborted = begin(turns, 'k', AbortSignal.abort(new Error('before')))
    expect(await failureOf(() => aborted.result)).toMatchObject({ message: 'before' })
    expect(aborted.isRunning).toBe(false)
    first.end('')
    await first.result
  })
})

describe('nested updates', () => {
  const run = <T>(turns: UpdateTurns, key: string, fn: () => Promise<T>): Promise<T> => turns.run(key, [], fn)

  test('of other keys have their turn', async () => {
    const turns = new UpdateTurns()
    const result = run(turns, 'a', () =>
      run(turns, 'b', () => run(turns, 'c', () => Promise.resolve('inmost'))),
    )
    expect(await result).toBe('inmost')
  })

  test('I11: of the same key can not: an error, and the outer one may go on', async () => {
    const turns = new UpdateTurns()
    const result = run(turns, 'a', async () => {
      const direct = await failureOf(() => run(turns, 'a', () => Promise.resolve()))
      const deeper = await failureOf(() => run(turns, 'b', () => run(turns, 'a', () => Promise.resolve())))
      return [direct, deeper]
    })
    expect(await result).toMatchObject([
      { name: 'TypeError', message: expect.stringMatching('same key') },
      { name: 'TypeError', message: expect.stringMatching('wait for each other') },
    ])
    expect(turns.size).toBe(0)
  })

  test('I11: two that wait for each other: one gets an error, the other goes on', async () => {
    const turns = new UpdateTurns()
    const bothHold = deferred()
    let holding = 0
    const cross = (own: string, other: string): Promise<string> =>
      run(turns, own, async () => {
        if (++holding === 2) bothHold.resolve()
        await bothHold.promise
        return run(turns, other, () => Promise.resolve('done'))
      })
    const results = await Promise.allSettled([cross('a', 'b'), cross('b', 'a')])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(turns.size).toBe(0)
  })

  test('I11: a ring of many is found, also through updates that run side by side in one function', async () => {
    const turns = new UpdateTurns()
    const keys = ['a', 'b', 'c', 'd', 'e']
    const allHold = deferred()
    let holding = 0
    const results = await Promise.allSettled(
      keys.map((key, index) =>
        run(turns, key, async () => {
          if (++holding === keys.length) allHold.resolve()
          await allHold.promise
          await Promise.all([
            run(turns, `free-${key}`, give(null)),
            run(turns, keys[(index + 1) % keys.length]!, give(null)),
          ])
        }),
      ),
    )
    expect(results.filter(({ status }) => status === 'rejected').length).toBe(1)
    expect(turns.size).toBe(0)
  })

  test('waiting for somebody who waits for nobody of us is no ring', async () => {
    const turns = new UpdateTurns()
    const other = begin(turns, 'b')
    const waiting = run(turns, 'a', () => run(turns, 'b', () => Promise.resolve('in the end')))
    await nextTurn()
    other.end('')
    expect(await waiting).toBe('in the end')
  })

  test('one that was started in a function and outlives it is part of nothing any more', async () => {
    const turns = new UpdateTurns()
    const later = deferred()
    let outliving: Promise<string> = Promise.resolve('')
    await run(turns, 'a', () => {
      outliving = later.promise.then(() => run(turns, 'a', give('of its own')))
      return Promise.resolve()
    })
    later.resolve()
    expect(await outliving).toBe('of its own')
  })

  test('I9: an agent that goes on from update to update leaves no trace of the earlier ones', async () => {
    const turns = new UpdateTurns()
    const depths: number[] = []
    let turn: Turn | null = null
    const enter = turns.enter.bind(turns)
    turns.enter = (key, parent, start) => {
      turn = enter(key, parent, start)
      let depth = 0
      for (let outer: Turn | null = turn; outer !== null; outer = outer.parent) depth++
      depths.push(depth)
      return turn
    }
    const step = async (left: number): Promise<void> => {
      let next: Promise<void> | null = null
      const mayGoOn = deferred()
      await run(turns, 'k', () => {
        next = mayGoOn.promise.then(() => (left === 0 ? undefined : step(left - 1)))
        return Promise.resolve()
      })
      mayGoOn.resolve()
      return next!
    }
    await step(50)
    expect(Math.max(...depths)).toBe(1)
  })
})
