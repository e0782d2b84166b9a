import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Change } from '../src/api.js'
import { collect, failureOf, iteratorOf, nextTurn, take } from '../src/contract/observe.js'
import { EventBus } from '../src/event-bus.js'

function change(revision: number, namespace = 'n'): Change {
  return { namespace, key: 'k', kind: 'write', revision, writer: null }
}

const emitted: { message: unknown; options: unknown }[] = []

beforeEach(() => {
  emitted.length = 0
  vi.spyOn(process, 'emitWarning').mockImplementation((message: unknown, options?: unknown) => {
    emitted.push({ message, options })
  })
})
afterEach(() => void vi.restoreAllMocks())

describe('listeners', () => {
  test('are called in the order of their subscription, at once', () => {
    const bus = new EventBus(10)
    const called: unknown[] = []
    bus.on('change', ({ revision }) => called.push(['first', revision]))
    bus.on('change', ({ revision }) => called.push(['second', revision]))
    expect([bus.has('change'), bus.has('conflict')]).toEqual([true, false])
    bus.publish('change', change(1))
    expect(called).toEqual([
      ['first', 1],
      ['second', 1],
    ])
  })

  test('run in the context in which they were subscribed, not in that of whoever publishes', () => {
    const bus = new EventBus(10)
    const context = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    context.run('subscriber', () => bus.on('change', () => seen.push(context.getStore())))
    bus.on('change', () => seen.push(context.getStore()))
    context.run('publisher', () => bus.publish('change', change(1)))
    expect(seen).toEqual(['subscriber', undefined])
  })

  test('I9: are taken back from their signal when the bus ends, and by who unsubscribes', () => {
    const bus = new EventBus(10)
    const { signal } = new AbortController()
    bus.on('change', () => {}, { signal })
    bus.on('change', () => {}, { signal })()
    expect(getEventListeners(signal, 'abort').length).toBe(1)
    bus.end()
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })

  test('a filter by namespace leaves out those of others; events without a namespace pass', () => {
    const bus = new EventBus(10)
    const revisions: number[] = []
    const codes: string[] = []
    bus.on('change', ({ revision }) => revisions.push(revision), { namespace: 'n' })
    bus.on('warning', ({ code }) => codes.push(code), { namespace: 'n' })
    bus.publish('change', change(1, 'm'))
    bus.publish('change', change(2, 'n'))
    bus.publish('warning', { code: 'W', message: '' })
    expect([revisions, codes]).toEqual([[2], ['W']])
  })

  test('one that has unsubscribed is not called, not even for the event that is being published', () => {
    const bus = new EventBus(10)
    const called: string[] = []
    const offs: (() => void)[] = []
    bus.on('change', () => {
      called.push('a')
      for (const off of offs) off()
    })
    offs.push(bus.on('change', () => called.push('b')))
    bus.publish('change', change(1))
    bus.publish('change', change(2))
    expect(called).toEqual(['a', 'a'])
    for (const off of offs) off()
  })

  test('a signal unsubscribes; one that has aborted subscribes nobody', () => {
    const bus = new EventBus(10)
    const called: number[] = []
    const controller = new AbortController()
    bus.on('change', ({ revision }) => called.push(revision), { signal: controller.signal })
    bus.on('change', () => called.push(-1), { signal: AbortSignal.abort() })
    bus.publish('change', change(1))
    controller.abort()
    bus.publish('change', change(2))
    expect([called, bus.has('change')]).toEqual([[1], false])
  })

  test('I11: one that throws or rejects disturbs nobody; it becomes a warning', async () => {
    const bus = new EventBus(10)
    const called: number[] = []
    const warnings: unknown[] = []
    bus.on('warning', (warning) => warnings.push(warning))
    bus.on('change', () => {
      throw new Error('thrown')
    })
    bus.on('change', () => Promise.reject(new Error('rejected')))
    bus.on('change', ({ revision }) => called.push(revision))
    bus.publish('change', change(1))
    await nextTurn()
    expect(called).toEqual([1])
    expect(warnings).toEqual([
      { code: 'LISTENER_FAILED', message: "a listener of 'change' events failed: thrown" },
      { code: 'LISTENER_FAILED', message: "a listener of 'change' events failed: rejected" },
    ])
  })

  test('I11: whatever it throws, whatever it returns', async () => {
    const bus = new EventBus(10)
    const called: number[] = []
    const hostile = {
      toString: () => {
        throw new Error('no text')
      },
    }
    const silent = new Error('x')
    Object.defineProperty(silent, 'message', {
      get: () => {
        throw new Error('no message')
      },
    })
    const thrown = [undefined, null, Symbol('s'), Object.create(null), hostile, silent]
    for (const each of thrown) {
      bus.on('change', () => {
        throw each
      })
      bus.on('change', () => Promise.reject(each))
    }
    bus.on('change', () => ({
      get then() {
        throw new Error('no then')
      },
    }))
    bus.on('change', ({ revision }) => called.push(revision))
    bus.publish('change', change(1))
    await nextTurn()
    expect(called).toEqual([1])
    expect(emitted.length).toBe(2 * thrown.length + 1)
  })

  test('a listener of warnings that fails is not told of itself for ever', async () => {
    const bus = new EventBus(10)
    bus.on('warning', () => {
      throw new Error('thrown')
    })
    bus.on('warning', () => Promise.reject(new Error('rejected')))
    bus.warn('W', 'message')
    await nextTurn()
    expect(emitted.length).toBe(2)
  })

  test('misuse is a TypeError that names the types', async () => {
    const bus = new EventBus(10)
    const on = bus.on.bind(bus) as (...args: unknown[]) => unknown
    expect(await failureOf(() => on('changes', () => {}))).toMatchObject({
      name: 'TypeError',
      message: expect.stringMatching('conflict, change, external'),
    })
    for (const args of [
      ['toString', () => {}],
      ['change'],
      ['change', 'f'],
      ['change', () => {}, { nam: 1 }],
    ]) {
      expect(await failureOf(() => on(...args))).toBeInstanceOf(TypeError)
    }
    expect(await failureOf(() => bus.iterate('x' as 'change'))).toBeInstanceOf(TypeError)
  })
})

describe('warnings', () => {
  test('reach the subscribers, or else the process', () => {
    const bus = new EventBus(10)
    bus.warn('W', 'first')
    expect(emitted).toEqual([{ message: 'first', options: { type: 'AgentStateWarning', code: 'W' } }])
    const warnings: unknown[] = []
    bus.on('warning', (warning) => warnings.push(warning))
    bus.warn('W', 'second')
    expect([warnings, emitted.length]).toEqual([[{ code: 'W', message: 'second' }], 1])
  })

  test('reach the process, too, where all who listen filter them out', () => {
    const bus = new EventBus(10)
    const heard: string[] = []
    bus.on('warning', ({ message }) => heard.push(message), { namespace: 'n' })
    bus.iterate('warning', { namespace: 'n' })
    bus.warn('W', 'of m', 'm')
    bus.warn('W', 'of n', 'n')
    bus.warn('W', 'of all')
    expect([heard, emitted.map(({ message }) => message)]).toEqual([['of n', 'of all'], ['of m']])
  })

  test('reach the process where an iterator that nobody reads has no room for them', async () => {
    const bus = new EventBus(2)
    const items = iteratorOf(bus.iterate('warning'))
    for (const message of ['1', '2', '3']) bus.warn('W', message)
    expect(emitted.map(({ message }) => message)).toEqual(['3'])
    expect(await take(items, 3)).toMatchObject([{ message: '1' }, { message: '2' }, { type: 'lagged' }])
    bus.warn('W', '4')
    expect(await take(items, 1)).toMatchObject([{ message: '4' }])
    expect(emitted.length).toBe(1)
  })
})

describe('iterators', () => {
  test('buffer from the call on, and name the type', async () => {
    const bus = new EventBus(10)
    bus.publish('change', change(1))
    const items = iteratorOf(bus.iterate('change', { namespace: 'n' }))
    bus.publish('change', change(2))
    bus.publish('change', change(3, 'm'))
    bus.publish('change', change(4))
    expect(await take(items, 2)).toEqual([
      { type: 'change', ...change(2) },
      { type: 'change', ...change(4) },
    ])
  })

  test('I9: beyond the bound events are dropped, and one item counts them, where they are missing', async () => {
    const bus = new EventBus(2)
    const items = iteratorOf(bus.iterate('change'))
    for (let revision = 1; revision <= 5; revision++) bus.publish('change', change(revision))
    expect(await take(items, 3)).toMatchObject([
      { revision: 1 },
      { revision: 2 },
      { type: 'lagged', missed: 3 },
    ])
    for (let revision = 6; revision <= 9; revision++) bus.publish('change', change(revision))
    expect(await take(items, 2)).toMatchObject([{ revision: 6 }, { revision: 7 }])
    bus.publish('change', change(10))
    expect(await take(items, 2)).toMatchObject([{ type: 'lagged', missed: 2 }, { revision: 10 }])
  })

  test('I11: end when the bus does, after what is buffered; those made later have ended', async () => {
    const bus = new EventBus(10)
    const items = bus.iterate('change')
    const waiting = iteratorOf(bus.iterate('conflict')).next()
    bus.publish('change', change(1))
    bus.end()
    bus.publish('change', change(2))
    expect(await collect(items)).toMatchObject([{ revision: 1 }])
    expect((await waiting).done).toBe(true)
    expect(await collect(bus.iterate('change'))).toEqual([])
    const called: unknown[] = []
    bus.on('change', (event) => called.push(event))()
    bus.publish('change', change(3))
    expect(called).toEqual([])
  })

  test('leaving one unsubscribes it', async () => {
    const bus = new EventBus(10)
    for await (const item of withEvent(bus)) {
      expect(item).toMatchObject({ revision: 1 })
      break
    }
    expect(bus.has('change')).toBe(false)
  })

  test('I11: a signal ends one with its reason', async () => {
    const bus = new EventBus(10)
    const controller = new AbortController()
    const waiting = failureOf(() => iteratorOf(bus.iterate('change', { signal: controller.signal })).next())
    controller.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    expect(bus.has('change')).toBe(false)
    const aborted = iteratorOf(bus.iterate('change', { signal: AbortSignal.abort(new Error('before')) }))
    expect(await failureOf(() => aborted.next())).toMatchObject({ message: 'before' })
  })
})

function withEvent(bus: EventBus): ReturnType<EventBus['iterate']> {
  const items = bus.iterate('change')
  bus.publish('change', change(1))
  return items
}
