/** `events`: callbacks and iterators, and listeners that misbehave. */
import { expect } from 'vitest'
import type { EventMap, Events } from '../../api.js'
import { collect, deferred, failureOf, iteratorOf, misuse, record, take } from '../observe.js'
import type { Given } from '../given.js'

export function events(given: Given): void {
  subscribing(given)
  misbehaving(given)
  iterating(given)
  lagging(given)
  ending(given)
  refusing(given)
}

function subscribing(given: Given): void {
  given.test(
    'a listener gets every change of every namespace, or only of the one in its filter',
    async () => {
      const store = await given.open()
      const [one, two] = await Promise.all([store.init(), store.init()])
      const all = record(store.events, 'change')
      const some = record(store.events, 'change', { namespace: one.namespace })
      const written = await one.write('a', '1')
      await two.write('b', '1')
      const last = await one.delete('a')
      await some.until((change) => change.revision === last.revision)
      await all.until((change) => change.key === 'b')
      expect(all.items.length).toBe(3)
      expect(some.items).toEqual([
        { namespace: one.namespace, key: 'a', kind: 'write', revision: written.revision, writer: null },
        { namespace: one.namespace, key: 'a', kind: 'delete', revision: last.revision, writer: null },
      ])
    },
  )
  given.test(
    'the returned function ends the subscription, as does the signal; both may be used again',
    async () => {
      const session = await given.session()
      const filter = { namespace: session.namespace }
      const controller = new AbortController()
      const first = record(given.store().events, 'change', filter)
      const second = record(given.store().events, 'change', { ...filter, signal: controller.signal })
      const never = record(given.store().events, 'change', { ...filter, signal: AbortSignal.abort() })
      const kept = record(given.store().events, 'change', filter)
      await session.write('a', '')
      await Promise.all([first.until(() => true), second.until(() => true)])
      first.stop()
      first.stop()
      controller.abort()
      await session.write('b', '')
      await kept.until((change) => change.key === 'b')
      expect([first.items.length, second.items.length, never.items.length]).toEqual([1, 1, 0])
      kept.stop()
    },
  )
  given.test('the same function given twice is two subscriptions', async () => {
    const session = await given.session()
    let calls = 0
    const listener = (): void => void (calls += 1)
    const filter = { namespace: session.namespace }
    const stops = [1, 2].map(() => given.store().events.on('change', listener, filter))
    const kept = record(given.store().events, 'change', filter)
    await session.write('a', '')
    await kept.until((change) => change.key === 'a')
    expect(calls).toBe(2)
    stops[0]!()
    await session.write('b', '')
    await kept.until((change) => change.key === 'b')
    expect(calls).toBe(3)
    stops[1]!()
    kept.stop()
  })
}

function misbehaving(given: Given): void {
  given.test(
    'I11: listeners that throw or reject disturb neither the writer nor the other listeners',
    async () => {
      const session = await given.session()
      const filter = { namespace: session.namespace }
      const failing: (() => unknown)[] = [
        () => {
          throw new Error('listener failed')
        },
        () => Promise.reject(new Error('listener failed later')),
        () => {
          throw null
        },
        () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject('rejected') }),
      ]
      const stopWarnings = given.store().events.on('warning', () => {
        throw new Error('listener of warnings failed')
      })
      const warnings = record(given.store().events, 'warning')
      const stops = failing.map((listener) => given.store().events.on('change', listener, filter))
      const behaved = record(given.store().events, 'change', filter)
      const items = iteratorOf(given.store().events.iterate('change', filter))
      for (const key of ['a', 'b', 'c']) await session.write(key, '')
      await behaved.until((change) => change.key === 'c')
      expect(behaved.items.map((change) => change.key)).toEqual(['a', 'b', 'c'])
      expect((await take(items, 3)).length).toBe(3)
      await warnings.until((warning) => warning.message.includes('listener failed'))
      await items.return?.()
      for (const stop of [...stops, stopWarnings, warnings.stop, behaved.stop]) stop()
    },
  )
  given.test('a listener may write, and unsubscribe itself or others, from inside', async () => {
    const session = await given.session()
    const filter = { namespace: session.namespace }
    const answered = deferred()
    const stops: (() => void)[] = []
    const calls: string[] = []
    stops.push(
      given.store().events.on(
        'change',
        (change) => {
          calls.push(change.key)
          for (const stop of stops) stop()
          void session.write('answer', change.key).then(() => answered.resolve(), answered.reject)
        },
        filter,
      ),
    )
    stops.push(given.store().events.on('change', (change) => void calls.push(`second ${change.key}`), filter))
    await session.write('question', '')
    await answered.promise
    expect(await session.read('answer')).toBe('question')
    expect(calls.filter((key) => !key.startsWith('second'))).toEqual(['question'])
    expect(calls).not.toContain('second answer')
  })
}

function iterating(given: Given): void {
  given.test('`iterate` buffers from its call on and gives the events with their type', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const filter = { namespace: ann.namespace }
    const changes = iteratorOf(given.store().events.iterate('change', filter))
    const conflicts = iteratorOf(given.store().events.iterate('conflict', filter))
    const first = await ann.write('k', '1')
    const second = await ben.write('k', '2')
    expect(await take(changes, 2)).toEqual([
      {
        type: 'change',
        namespace: ann.namespace,
        key: 'k',
        kind: 'write',
        revision: first.revision,
        writer: { writerId: 'ann' },
      },
      {
        type: 'change',
        namespace: ann.namespace,
        key: 'k',
        kind: 'write',
        revision: second.revision,
        writer: { writerId: 'ben' },
      },
    ])
    expect(await take(conflicts, 1)).toMatchObject([
      { type: 'conflict', ...second.conflict, outcome: 'written' },
    ])
    await Promise.all([changes.return?.(), conflicts.return?.()])
    expect((await changes.next()).done).toBe(true)
  })
  given.test("an abort rejects what waits with the signal's reason", async () => {
    const controller = new AbortController()
    const items = iteratorOf(given.store().events.iterate('failed', { signal: controller.signal }))
    const pending = items.next()
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await failureOf(() => pending)).toBe(reason)
    const late = given.store().events.iterate('failed', { signal: AbortSignal.abort(reason) })
    expect(await failureOf(() => iteratorOf(late).next())).toBe(reason)
  })
}

function lagging(given: Given): void {
  given.testUnless(
    'limits',
    'I9: an iterator that is not read drops what does not fit and says once how much it missed',
    async () => {
      const store = await given.open({ limits: { eventBufferMax: 5 } })
      const session = await store.init()
      const slow = iteratorOf(store.events.iterate('change'))
      for (let round = 0; round < 20; round += 1) await session.write(`k${round}`, '')
      const kept = await take(slow, 5)
      expect(kept.map((item) => item.type)).toEqual(Array.from({ length: 5 }, () => 'change'))
      expect(await take(slow, 1)).toEqual([{ type: 'lagged', missed: 15 }])
      await session.write('after', '')
      expect(await take(slow, 1)).toMatchObject([{ type: 'change', key: 'after' }])
      await slow.return?.()
    },
  )
  given.testUnless(
    'limits',
    'the `lagged` item stands where the events are missing, and the counts add up',
    async () => {
      const store = await given.open({ limits: { eventBufferMax: 4 } })
      const session = await store.init()
      const slow = iteratorOf(store.events.iterate('change'))
      let received = 0
      let missed = 0
      let last = 0
      for (let round = 1; round <= 60; round += 1) {
        await session.write(`k${round}`, '')
        if (round % 7 !== 0) continue
        const item = (await slow.next()).value as EventItem
        if (item.type === 'lagged') missed += item.missed
        else {
          received += 1
          expect(Number(item.key.slice(1))).toBe(received + missed)
          expect(item.revision).toBeGreaterThan(last)
          last = item.revision
        }
      }
      await slow.return?.()
      expect(received).toBeGreaterThan(0)
    },
  )
}

type EventItem = { type: 'change'; key: string; revision: number } | { type: 'lagged'; missed: number }

function ending(given: Given): void {
  given.test('I11: closing the store ends every iterator, after what was already there', async () => {
    const store = await given.open()
    const session = await store.init()
    const buffered = store.events.iterate('change')
    const pending = iteratorOf(store.events.iterate('conflict')).next()
    await session.write('k', '')
    await store.close()
    expect((await pending).done).toBe(true)
    expect((await collect(buffered)).map((item) => item.type)).toEqual(['change'])
  })
  given.testUnless(
    'closed-event',
    '`closed` is published once, and says whether everything was flushed',
    async () => {
      const store = await given.open()
      const closed: EventMap['closed'][] = []
      store.events.on('closed', (event) => closed.push(event))
      const iterated = collect(store.events.iterate('closed'))
      await (await store.init()).write('k', '')
      await Promise.all([store.close(), store.close()])
      await store.close()
      expect(await iterated).toEqual([{ type: 'closed', flushed: true }])
      expect(closed).toEqual([{ flushed: true }])
    },
  )
}

function refusing(given: Given): void {
  given.test(
    'an unknown type of event, a listener that is no function, or a filter that makes no sense is a TypeError',
    async () => {
      const { events } = given.store()
      const listener = (): void => {}
      const wrong: readonly (() => unknown)[] = [
        ...['changes', '', '__proto__', 'constructor', 1, null, undefined, Symbol('change')].flatMap(
          (type) => [
            () => events.on(type as 'change', listener),
            () => collect(events.iterate(type as 'change')),
          ],
        ),
        ...[null, undefined, 'x', {}].map((bad) => () => events.on('change', bad as () => void)),
        ...[{ namespace: 1 }, { namspace: 'a' }, { signal: 1 }, 'a', null].flatMap((filter) => [
          () => events.on('change', listener, filter as Parameters<Events['on']>[2]),
          () => collect(events.iterate('change', filter as Parameters<Events['iterate']>[1])),
        ]),
      ]
      for (const act of wrong) expect(await misuse(act)).toBeInstanceOf(TypeError)
    },
  )
}
