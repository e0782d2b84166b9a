/** `watch`: the changes of a namespace, from now on, without a gap. */
import { expect } from 'vitest'
import type { Change, Session } from '../../api.js'
import { refusal, take, takeUntil } from '../observe.js'
import type { Given } from '../given.js'
import { brief, replay, start, stateOf, type ChangeItem } from './watch-steps.js'

export function watching(given: Given): void {
  changes(given)
  initial(given)
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
  try {
    await observe(stopped)
  } finally {
    await stopped()
  }
}
