/** Where a watch begins in the past, and where it ends. */
import { expect } from 'vitest'
import type { WatchItem, WatchOptions } from '../../api.js'
import { AgentStateError } from '../../errors.js'
import { failureOf, misuse, refusal, take, takeUntil } from '../observe.js'
import type { Given } from '../given.js'
import { brief, replay, start, stateOf } from './watch-steps.js'

export function watchBounds(given: Given): void {
  history(given)
  ending(given)
  overflow(given)
  refusing(given)
}

function history(given: Given): void {
  given.testUnless(
    'watch-history',
    'with `afterRevision` the changes since then are given first, then new ones',
    async () => {
      const [ann] = await given.writers('ann')
      const first = await ann.write('a', '1')
      await ann.write('b', '1')
      await ann.delete('a')
      const items = start(ann, { afterRevision: first.revision })
      await ann.write('c', '1')
      expect(brief(await take(items, 3))).toEqual(['change write b', 'change delete a', 'change write c'])
      await items.return?.()
      const { revision } = (await ann.stat('c'))!
      const fromNow = start(ann, { afterRevision: revision })
      await ann.write('d', '1')
      expect(brief(await take(fromNow, 1))).toEqual(['change write d'])
      await fromNow.return?.()
    },
  )
  given.testUnless(
    ['watch-history', 'limits'],
    'I9: older than what is in memory is REVISION_COMPACTED, naming the oldest',
    async () => {
      const store = await given.open({ limits: { historyMax: 5 } })
      const session = await store.init()
      const first = await session.write('k', '0')
      for (let round = 1; round <= 20; round += 1) await session.write('k', String(round))
      const error = await refusal('REVISION_COMPACTED', () =>
        start(session, { afterRevision: first.revision }).next(),
      )
      expect(error.oldestRevision).toBeGreaterThan(first.revision)
      const items = start(session, { afterRevision: error.oldestRevision })
      const last = await session.write('last', '')
      const found = await takeUntil(items, (list) => list.at(-1)?.revision === last.revision)
      expect(found.every((item) => item.revision > error.oldestRevision)).toBe(true)
      await items.return?.()
    },
  )
}

function ending(given: Given): void {
  given.test('leaving the loop ends the watch; `next` afterwards says done', async () => {
    const session = await given.session()
    const items = start(session)
    const pending = items.next()
    await items.return?.()
    expect((await pending).done).toBe(true)
    await session.write('k', '')
    expect((await items.next()).done).toBe(true)
    const looped = session.watch()
    await session.write('k', '')
    for await (const item of looped) {
      expect(item).toMatchObject({ key: 'k' })
      break
    }
  })
  given.test(
    "an abort rejects what waits with the signal's reason, and later calls are answered",
    async () => {
      const session = await given.session()
      const controller = new AbortController()
      const items = start(session, { signal: controller.signal })
      const pending = items.next()
      const reason = new Error('enough')
      controller.abort(reason)
      expect(await failureOf(() => pending)).toBe(reason)
      expect((await items.next().catch(() => ({ done: true }))).done).toBe(true)
      const never = AbortSignal.abort(reason)
      expect(await failureOf(() => start(session, { signal: never }).next())).toBe(reason)
    },
  )
  given.test('I11: closing the store ends every watch, after what was already there', async () => {
    const store = await given.open()
    const session = await store.init()
    const waiting = start(session)
    const buffered = start(session)
    const initialOnly = start(session, { initial: true })
    await session.write('k', '')
    expect(brief(await take(waiting, 1))).toEqual(['change write k'])
    const pending = waiting.next()
    await store.close()
    expect((await pending).done).toBe(true)
    expect(brief(await take(buffered, 1))).toEqual(['change write k'])
    expect((await buffered.next()).done).toBe(true)
    for (let item = await initialOnly.next(); item.done !== true; item = await initialOnly.next()) {
      expect(['ready', 'initial', 'change']).toContain(item.value.type)
    }
  })
}

function overflow(given: Given): void {
  given.testUnless(
    'limits',
    'I9: a watch that is not read ends with WATCH_OVERFLOW, and can be taken up again where it ended',
    async () => {
      const store = await given.open({ limits: { eventBufferMax: 10 } })
      const session = await store.init()
      const slow = start(session)
      const quick = start(session, { prefix: 'few' })
      for (let round = 0; round < 15; round += 1) {
        await session.batch([0, 1, 2].map((index) => ({ write: `k${index}`, value: String(round) })))
      }
      await session.write('few', '')
      const found: WatchItem[] = []
      const error = (await failureOf(async () => {
        for (;;) found.push((await slow.next()).value as WatchItem)
      })) as AgentStateError<'WATCH_OVERFLOW'>
      expect(error).toMatchObject({ code: 'WATCH_OVERFLOW' })
      expect(found.length).toBeLessThanOrEqual(11)
      expect((await slow.next()).done).toBe(true)
      expect(brief(await take(quick, 1))).toEqual(['change write few'])
      const upTo = found.filter((item) => item.revision <= error.lastRevision)
      expect(upTo.length % 3, 'no batch up to `lastRevision` is cut').toBe(0)
      const beyond = new Set(found.slice(upTo.length).map((item) => item.revision))
      expect(beyond.size, 'at most the batch that did not fit was given in part').toBeLessThanOrEqual(1)
    },
  )
  given.testUnless(
    ['watch-history', 'limits'],
    'after WATCH_OVERFLOW, `afterRevision: lastRevision` gives the rest without a gap',
    async () => {
      const store = await given.open({ limits: { eventBufferMax: 20 } })
      const session = await store.init()
      const state = new Map<string, number>()
      let items = start(session)
      for (let round = 0; round < 10; round += 1) {
        await session.batch([0, 1, 2].map((index) => ({ write: `k${index}`, value: String(round) })))
        if (round % 4 === 3) await session.delete('k1')
      }
      const last = await session.write('last', '')
      for (let done = false; !done;) {
        const item = await items.next().catch((error: unknown) => {
          if (!AgentStateError.is(error, 'WATCH_OVERFLOW')) throw error
          items = start(session, { afterRevision: error.lastRevision })
          return null
        })
        if (item === null) continue
        replay([item.value as WatchItem], state)
        done = (item.value as WatchItem).revision === last.revision
      }
      expect(state).toEqual(await stateOf(session))
      await items.return?.()
    },
  )
}

function refusing(given: Given): void {
  given.test('options that make no sense are misuse', async () => {
    const session = await given.session()
    const wrong: readonly unknown[] = [
      ...[
        { prefix: 1 },
        { initial: 'yes' },
        { afterRevision: '1' },
        { afterRevision: -1 },
        { afterRevision: NaN },
      ],
      ...[{ signal: {} }, { prefx: 'a' }, 'a', null],
    ]
    for (const options of wrong) {
      await misuse(() => start(session, options as WatchOptions).next())
    }
  })
}
