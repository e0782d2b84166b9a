/** `list` and `entries`: order, pages, and what is shown while others write. */
import { expect } from 'vitest'
import type { Entry, Page, Session } from '../../api.js'
import { collect, iteratorOf, misuse, nextTurn } from '../observe.js'
import type { Given } from '../given.js'
import { SORTED_KEYS } from './names.js'

export function lists(given: Given): void {
  pages(given)
  paging(given)
  content(given)
  meanwhile(given)
  refusing(given)
}

async function filled(given: Given, keys: readonly string[]): Promise<Session> {
  const session = await given.session()
  await session.batch(keys.map((key) => ({ write: key, value: key })))
  return session
}

/** What a page of sorted names is, said in the plainest way. */
export function pageOf(sorted: readonly string[], page: Page): string[] {
  const order = page.reverse === true ? [...sorted].reverse() : [...sorted]
  const isBehind = (name: string, after: string): boolean => {
    const comparison = Buffer.compare(Buffer.from(name), Buffer.from(after))
    return page.reverse === true ? comparison < 0 : comparison > 0
  }
  return order
    .filter((name) => name.startsWith(page.prefix ?? ''))
    .filter((name) => page.after === undefined || isBehind(name, page.after))
    .slice(0, page.limit)
}

const PAGES: readonly Page[] = [
  {},
  { reverse: true },
  { prefix: 'a' },
  { prefix: 'a/' },
  { prefix: 'a', reverse: true },
  { prefix: 'nothing' },
  { after: 'a' },
  { after: 'a-b' },
  { after: 'a', reverse: true },
  { after: '' },
  { after: '\u{10ffff}' },
  { after: 'no such key', limit: 2 },
  { limit: 1 },
  { limit: 3, reverse: true },
  { limit: 1000 },
  { prefix: 'a', after: 'a.b', limit: 2 },
  { prefix: 'a', after: 'aa', limit: 2, reverse: true },
  { prefix: '～' },
]

function pages(given: Given): void {
  given.test(
    'a page has the keys with a prefix (of the text, not of the path), behind a name, up to a limit, in either direction',
    async () => {
      const session = await filled(given, SORTED_KEYS)
      for (const page of PAGES) {
        const expected = pageOf(SORTED_KEYS, page)
        expect(await session.list(page), JSON.stringify(page)).toEqual(expected)
        const entries = await collect(session.entries(page))
        expect(
          entries.map((entry) => entry.key),
          JSON.stringify(page),
        ).toEqual(expected)
      }
    },
  )
  given.test('an empty namespace has an empty list', async () => {
    const session = await given.session()
    expect(await session.list()).toEqual([])
    expect(await collect(session.entries())).toEqual([])
  })
}

function paging(given: Given): void {
  given.test('page after page, in either direction, gives every key once', async () => {
    const keys = Array.from({ length: 53 }, (_, index) => `k${String(index).padStart(3, '0')}`)
    const session = await filled(given, keys)
    for (const reverse of [false, true]) {
      const found: string[] = []
      for (;;) {
        const page = await session.list({
          limit: 7,
          reverse,
          ...(found.length > 0 ? { after: found.at(-1) } : {}),
        })
        found.push(...page)
        if (page.length < 7) break
      }
      expect(found).toEqual(reverse ? [...keys].reverse() : keys)
    }
  })
}

function content(given: Given): void {
  given.test('`entries` gives what `entry` gives', async () => {
    const session = await given.session({ writer: { writerId: 'ann' } })
    for (const key of ['b', 'a/b', 'c']) await session.write(key, `of ${key}`)
    const single = await Promise.all(['a/b', 'b', 'c'].map((key) => session.entry(key)))
    expect(await collect(session.entries())).toEqual(single)
  })
  given.test('`entries` can be left early, and started again', async () => {
    const session = await filled(given, ['a', 'b', 'c'])
    for await (const entry of session.entries()) {
      expect(entry.key).toBe('a')
      break
    }
    const iterator = iteratorOf(session.entries())
    await iterator.next()
    await iterator.return?.()
    expect((await iterator.next()).done).toBe(true)
    expect((await collect(session.entries())).length).toBe(3)
  })
}

function meanwhile(given: Given): void {
  given.test('a page is the one that was asked for, whatever becomes of the object', async () => {
    const session = await filled(given, ['a/1', 'b/1', 'b/2'])
    const page = { prefix: 'a/', limit: 5 }
    const [listing, entries] = [session.list(page), collect(session.entries({ ...page }))]
    page.prefix = 'b/'
    page.limit = 0
    expect(await listing).toEqual(['a/1'])
    expect((await entries).map(({ key }) => key)).toEqual(['a/1'])
  })
  given.test(
    'I4: entries given while others write have a value and a writer that belong together, each key at most once',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const keys = Array.from({ length: 40 }, (_, index) => `k${String(index).padStart(2, '0')}`)
      await ann.batch(keys.map((key) => ({ write: key, value: 'ann' })))
      let writing = true
      const done = (async () => {
        for (let round = 0; round < 20; round += 1) {
          const session = round % 2 === 0 ? ben : ann
          for (const key of keys.slice(0, 20)) await session.write(key, session.writer!.writerId!)
          await session.delete('k10')
          await session.write('k10', session.writer!.writerId!)
        }
      })().finally(() => (writing = false))
      while (writing) {
        await nextTurn()
        const entries: Entry[] = await collect(ann.entries())
        const names = entries.map((entry) => entry.key).filter((key) => key !== 'k10')
        expect(names).toEqual(keys.filter((key) => key !== 'k10'))
        for (const entry of entries) {
          expect(new TextDecoder().decode(entry.value)).toBe(entry.writer?.writerId)
        }
      }
      await done
    },
  )
}

function refusing(given: Given): void {
  given.test('a page that makes no sense is misuse', async () => {
    const session = await given.session()
    const wrong: readonly unknown[] = [
      ...[
        { limit: -1 },
        { limit: NaN },
        { limit: 1.5 },
        { limit: '1' },
        { prefix: 1 },
        { after: null },
        { reverse: 1 },
      ],
      ...['a', 1, null, { prefix: 'a', offset: 1 }],
    ]
    for (const page of wrong) {
      await misuse(() => session.list(page as Page))
      await misuse(() => collect(session.entries(page as Page)))
      await misuse(() => collect(given.store().namespaces(page as Page)))
    }
  })
}
