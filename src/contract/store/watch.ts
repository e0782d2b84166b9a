/** `watch`: the changes of a namespace, from now on, without a gap. */
import { expect } from 'vitest'
import type { Change, Session, WatchItem, WatchOptions } from '../../api.js'
import type { AgentStateError } from '../../errors.js'
import { failureOf, iteratorOf, misuse, refusal, take, takeUntil } from '../observe.js'
import type { Given } from '../given.js'

export function watching(given: Given): void {
  changes(given)
  initial(given)
  history(given)
  ending(given)
  overflow(given)
  refusing(given)
}

function start(session: Session, options?: WatchOptions): AsyncIterator<WatchItem> {
  return iteratorOf(session.watch(options))
}

type ChangeItem = Extract<WatchItem, { readonly type: 'initial' | 'change' }>

function brief(items: readonly WatchItem[]): string[] {
  return items.map((item) => (item.type === 'ready' ? 'ready' : `${item.type} ${item.kind} ${item.key}`))
}

/** The revisions of the keys that are left when the items are applied in their order. */
export function replay(items: readonly WatchItem[], state = new Map<string, number>()): Map<string, number> {
  for (const item of items) {
    if (item.type === 'ready') continue
    if (item.kind === 'delete') state.delete(item.key)
    else state.set(item.key, item.revision)
  }
  return state
}

async function stateOf(session: Session): Promise<Map<string, number>> {
  const state = new Map<string, number>()
  for await (const entry of session.entries()) state.set(entry.key, entry.revision)
  return state
}

function changes(given: Given): void {
  given.test(
    'changes made after the call of `watch` are given in commit order, also those made before the first `next`',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('before', '')
      const items = start(ann)
      const written = await ann.write('a', '1')
      const deleted = await ben.delete('a')
      await ben.write('b', '2')
      const found = await take(items, 3)
      expect(found[0]).toEqual({
        type: 'change',
        kind: 'write',
        namespace: ann.namespace,
        key: 'a',
        revision: written.revision,
        writer: { writerId: 'ann' },
      } satisfies Change & { type: 'change' })
      expect(found[1]).toMatchObject({
        kind: 'delete',
        revision: deleted.revision,
        writer: { writerId: 'ben' },
      })
      expect(brief(found)).toEqual(['change write a', 'change delete a', 'change write b'])
      await items.return?.()
    },
  )
  given.test('only this namespace and only keys with the prefix are given', async () => {
    const [one, two] = await Promise.all([given.session(), given.session()])
    const all = start(one)
    const some = start(one, { prefix: 'a/' })
    await Promise.all([two.write('a/x', ''), one.write('a', ''), one.write('b', '')])
    await one.delete('a')
    await one.write('a/b', '')
    expect(brief(await take(some, 1))).toEqual(['change write a/b'])
    expect(brief(await take(all, 4))).toEqual([
      'change write a',
      'change write b',
      'change delete a',
      'change write a/b',
    ])
    await Promise.all([all.return?.(), some.return?.()])
  })
  given.test(
    'what is refused or changes nothing is not given, and a batch is given side by side',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const items = start(ann)
      await ann.write('k', '1')
      await refusal('CONFLICT', () => ben.write('k', '2', { conflictPolicy: 'error' }))
      await refusal('REVISION_MISMATCH', () => ben.write('k', '2', { ifRevision: null }))
      await ben.delete('missing')
      await ben.update('k', () => undefined)
      const others = [
        ben.write('x', ''),
        ann.batch([{ write: 'z', value: '' }, { delete: 'k' }, { write: 'y', value: '' }]),
        ben.write('w', ''),
      ]
      await Promise.all(others)
      const found = await take(items, 6)
      const revisions = found.map((item) => item.revision)
      expect(revisions).toEqual([...revisions].sort((one, two) => one - two))
      const batch = brief(found).indexOf('change write z')
      expect(brief(found).slice(batch, batch + 3)).toEqual([
        'change write z',
        'change delete k',
        'change write y',
      ])
      await items.return?.()
    },
  )
  given.test('several `next` at once are answered in their order', async () => {
    const session = await given.session()
    const items = start(session)
    const pending = [items.next(), items.next(), items.next()]
    for (const key of ['a', 'b', 'c']) await session.write(key, '')
    const found = await Promise.all(pending)
    expect(found.map((result) => (result.value as ChangeItem).key)).toEqual(['a', 'b', 'c'])
    await items.return?.()
  })
}

function initial(given: Given): void {
  given.test('with `initial` first what is there is given, then one `ready`, then the changes', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const a = await ann.write('a', '1')
    const b = await ben.write('b', '1')
    await ann.write('gone', '1')
    const gone = await ann.delete('gone')
    const items = start(ann, { initial: true })
    const found = await takeUntil(items, (list) => list.at(-1)?.type === 'ready')
    expect(brief(found)).toEqual(['initial write a', 'initial write b', 'ready'])
    expect(found[0]).toMatchObject({ revision: a.revision, namespace: ann.namespace })
    expect(found[1]).toMatchObject({ revision: b.revision })
    expect(found[2]!.revision).toBeGreaterThanOrEqual(gone.revision!)
    const next = await ann.write('c', '1')
    expect(await take(items, 1)).toMatchObject([{ type: 'change', key: 'c', revision: next.revision }])
    expect(next.revision).toBeGreaterThan(found[2]!.revision)
    await items.return?.()
  })
  given.test(
    'without `initial` there is no `ready`; in an empty namespace `ready` comes at once',
    async () => {
      const session = await given.session()
      const ready = start(session, { initial: true })
      expect((await take(ready, 1))[0]!.type).toBe('ready')
      const plain = start(session)
      await session.write('k', '')
      expect(brief(await take(plain, 1))).toEqual(['change write k'])
      expect(brief(await take(ready, 1))).toEqual(['change write k'])
      await Promise.all([plain.return?.(), ready.return?.()])
    },
  )
  given.test(
    'there is no gap and no double between the initial items and the changes, while others write',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await whileWriting(ann, async (stopped) => {
        for (let watcher = 0; watcher < 10; watcher += 1) {
          const items = start(ben, { initial: true })
          const found = await takeUntil(items, (list) => list.length > 60)
          const ready = found.findIndex((item) => item.type === 'ready')
          const later = found.slice(ready + 1)
          expect(found.slice(0, ready).every((item) => item.type === 'initial')).toBe(true)
          expect(later.every((item) => item.type === 'change')).toBe(true)
          expect(later.every((item) => item.revision > found[ready]!.revision)).toBe(true)
          if (watcher === 9) {
            await stopped()
            const marker = await ann.write('marker', '')
            const rest = await takeUntil(items, (list) => list.at(-1)?.revision === marker.revision)
            expect(replay([...found, ...rest])).toEqual(await stateOf(ben))
          }
          await items.return?.()
        }
      })
    },
  )
}

/** Writes, batches and deletes, one after the other, until `stopped` is called or `observe` is over. */
async function whileWriting(
  session: Session,
  observe: (stopped: () => Promise<void>) => Promise<void>,
): Promise<void> {
  let isOver = false
  const done = (async () => {
    for (let round = 0; !isOver; round += 1) {
      const key = `k${round % 17}`
      if (round % 5 === 4) await session.delete(key)
      else
        await session.batch([
          { write: key, value: '' },
          { write: 'same', value: String(round) },
        ])
    }
  })()
  const stopped = async (): Promise<void> => {
    isOver = true
    await done
  }
  await observe(stopped).finally(stopped)
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
        const item = await items.next().catch((error: AgentStateError<'WATCH_OVERFLOW'>) => {
          expect(error.code).toBe('WATCH_OVERFLOW')
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
