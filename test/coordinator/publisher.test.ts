import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Change, Conflict, Writer } from '../../src/api.js'
import { Publisher } from '../../src/coordinator/publisher.js'
import { EventBus } from '../../src/event-bus.js'

const ann: Writer = { writerId: 'ann' }
const ben: Writer = { writerId: 'ben' }

const emitted: string[] = []
beforeEach(() => {
  emitted.length = 0
  vi.spyOn(process, 'emitWarning').mockImplementation((message) => void emitted.push(String(message)))
})
afterEach(() => void vi.restoreAllMocks())

function change(publisher: Publisher, revision: number, namespace = 'n'): void {
  publisher.changed({ namespace, compactedRevision: 0 }, 'k', 'write', revision, null)
}

function conflict(key = 'k', previous: Writer | null = ben): Conflict {
  const revisions = { previousRevision: 1, seenRevision: null }
  return { namespace: 'n', key, rule: 'lost-update', current: ann, previous, ...revisions }
}

function given() {
  const bus = new EventBus(10)
  return { bus, publisher: new Publisher(bus, 3, { add: () => {} }) }
}

describe('subscribers', () => {
  test('are told of their namespace, in order, until they leave; also when one leaves meanwhile', () => {
    const { publisher } = given()
    const told: string[] = []
    const subscribe = (name: string, namespace = 'n'): (() => void) =>
      publisher.subscribe(namespace, {
        changed: ({ revision }) => {
          told.push(`${name}${revision}`)
          if (name === 'leaving') leave()
        },
        end: () => told.push(`${name} ended`),
      })
    const leave = subscribe('leaving')
    subscribe('a')
    subscribe('other', 'm')
    change(publisher, 1)
    change(publisher, 2)
    expect(told).toEqual(['leaving1', 'a1', 'a2'])
    leave()
    told.length = 0
    publisher.end()
    expect(told).toEqual(['a ended', 'other ended'])
  })

  test('are told before the listeners, one of whom may subscribe: from the next change on', () => {
    const { bus, publisher } = given()
    const told: string[] = []
    const subscribe = (name: string): (() => void) =>
      publisher.subscribe('n', { changed: ({ revision }) => told.push(`${name}${revision}`), end: () => {} })
    subscribe('first')
    bus.on('change', ({ revision }) => revision === 1 && subscribe('second'))
    change(publisher, 1)
    change(publisher, 2)
    expect(told).toEqual(['first1', 'first2', 'second2'])
  })

  test('get what no listener has changed, and so does the log', () => {
    const bus = new EventBus(10)
    const logged: unknown[] = []
    const publisher = new Publisher(bus, 3, { add: (event) => logged.push(event) })
    const told: string[] = []
    publisher.subscribe('n', { changed: ({ key }) => told.push(key), end: () => {} })
    const alter = (event: { key: string }): void => {
      event.key = 'altered'
    }
    bus.on('change', alter)
    bus.on('conflict', alter)
    bus.on('change', ({ key }) => told.push(key))
    bus.on('conflict', ({ key }) => told.push(key))
    change(publisher, 1)
    publisher.conflict(conflict(), 'ignore', 'written', 2, 5)
    expect(told).toEqual(['k', 'k', 'k'])
    expect(logged).toMatchObject([{ key: 'k' }])
  })

  test('subscribing again after all have left works', () => {
    const { publisher } = given()
    const told: number[] = []
    const subscriber = { changed: ({ revision }: Change) => void told.push(revision), end: () => {} }
    const leave = publisher.subscribe('n', subscriber)
    leave()
    publisher.subscribe('n', subscriber)
    leave()
    change(publisher, 1)
    expect(told).toEqual([1])
  })
})

describe('conflicts', () => {
  test('are published for every policy, with what became of the write', () => {
    const { publisher, bus } = given()
    const events: unknown[] = []
    bus.on('conflict', ({ policy, outcome, revision, atMs }) =>
      events.push([policy, outcome, revision, atMs]),
    )
    bus.on('warning', () => {})
    publisher.conflict(conflict(), 'ignore', 'written', 5, 1000)
    publisher.conflict(conflict(), 'warn', 'deleted', 6, 1000)
    publisher.conflict(conflict(), 'error', 'refused', null, 1000)
    expect(events).toEqual([
      ['ignore', 'written', 5, 1000],
      ['warn', 'deleted', 6, 1000],
      ['error', 'refused', null, 1000],
    ])
  })

  test('under warn a listener is told each time, and the process once a key and pair of writers', () => {
    const { publisher, bus } = given()
    const warn = (found: Conflict): void => publisher.conflict(found, 'warn', 'written', 5, 1)
    warn(conflict())
    warn(conflict())
    warn(conflict('other'))
    warn(conflict('k', null))
    expect(emitted).toEqual([
      "key 'k' in namespace 'n' was last changed by 'ben' and is now written by 'ann'",
      "key 'other' in namespace 'n' was last changed by 'ben' and is now written by 'ann'",
      "key 'k' in namespace 'n' was last changed by 'unknown' and is now written by 'ann'",
    ])
    const warnings: unknown[] = []
    bus.on('warning', ({ code }) => warnings.push(code))
    warn(conflict())
    warn(conflict())
    expect([warnings, emitted.length]).toEqual([['CONFLICT', 'CONFLICT'], 3])
  })

  test('under warn the process is told where nobody listens to the namespace', () => {
    const { publisher, bus } = given()
    const warnings: unknown[] = []
    bus.on('warning', ({ code }) => warnings.push(code), { namespace: 'm' })
    for (let round = 0; round < 3; round++) publisher.conflict(conflict(), 'warn', 'written', 5, 1)
    expect([warnings, emitted.length]).toEqual([[], 1])
    publisher.conflict({ ...conflict(), namespace: 'm' }, 'warn', 'written', 5, 1)
    expect([warnings, emitted.length]).toEqual([['CONFLICT'], 1])
  })

  test('names that would run into each other are kept apart', () => {
    const { publisher } = given()
    publisher.conflict(conflict('a', { writerId: 'b' }), 'warn', 'written', 1, 1)
    publisher.conflict(conflict('a","b', { writerId: '' }), 'warn', 'written', 1, 1)
    expect(emitted.length).toBe(2)
  })

  test('I9: what was warned of is remembered up to a bound', () => {
    const { publisher } = given()
    for (let index = 0; index < 10_001; index++) {
      publisher.conflict(conflict(`k${index}`), 'warn', 'written', 1, 1)
    }
    publisher.conflict(conflict('k0'), 'warn', 'written', 1, 1)
    expect(emitted.length).toBe(10_002)
  })
})
