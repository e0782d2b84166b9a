/** Opening again, flushing and closing: what outlasts a store, and that everybody gets an answer. */
import { expect } from 'vitest'
import type { Session, Store, WriteResult } from '../../api.js'
import { AgentStateError } from '../../errors.js'
import { collect, deferred, failureOf, refusal } from '../observe.js'
import type { Given } from '../given.js'
import { writersIn } from '../given.js'

export function lifecycle(given: Given): void {
  closed(given)
  closing(given)
  flushing(given)
  reopened(given)
  reopenedHistory(given)
}

function everyCall(store: Store, session: Session): Readonly<Record<string, () => unknown>> {
  return {
    init: () => store.init(),
    'init by name': () => store.init('name'),
    resume: () => store.resume(session.namespace),
    remove: () => store.remove(session.namespace),
    namespaces: () => collect(store.namespaces()),
    read: () => session.read('k'),
    readBytes: () => session.readBytes('k'),
    readJson: () => session.readJson('k'),
    entry: () => session.entry('k'),
    stat: () => session.stat('k'),
    write: () => session.write('k', '2'),
    writeJson: () => session.writeJson('k', 2),
    delete: () => session.delete('k'),
    update: () => session.update('k', () => '2'),
    batch: () => session.batch([{ write: 'k', value: '2' }]),
    list: () => session.list(),
    entries: () => collect(session.entries()),
    watch: () => session.watch()[Symbol.asyncIterator]().next(),
    writeHandoff: () => session.writeHandoff({}),
    readHandoff: () => session.readHandoff(),
  }
}

function closed(given: Given): void {
  given.test(
    'I11: after `close` every call is STORE_CLOSED, also through sessions made by `with`',
    async () => {
      const store = await given.open()
      const session = await store.init()
      await session.write('k', '1')
      expect(store.state).toBe('open')
      await store.close()
      expect(store.state).toBe('closed')
      for (const used of [session, session.with({})]) {
        for (const [name, call] of Object.entries(everyCall(store, used))) {
          const error = await refusal('STORE_CLOSED', call).catch((cause: unknown) => {
            throw new Error(`after close: ${name}`, { cause })
          })
          expect(error.outcome).toBe('unchanged')
        }
      }
      expect(session.namespace).toMatch(/./)
    },
  )
  given.test(
    '`close` may be called any number of times, at once and later, with or without flushing',
    async () => {
      const store = await given.open()
      await (await store.init()).write('k', '1')
      await Promise.all([store.close(), store.close({ flush: false }), store.close()])
      await store.close()
      expect(store.state).toBe('closed')
    },
  )
  given.test('`Symbol.asyncDispose` closes the store', async () => {
    const store = await given.open()
    await store[Symbol.asyncDispose]()
    expect(store.state).toBe('closed')
    await store[Symbol.asyncDispose]()
  })
}

function closing(given: Given): void {
  given.test(
    'I11: what is under way when the store closes gets an answer: done, or STORE_CLOSED and unchanged',
    async () => {
      const store = await given.open()
      const sessions = await Promise.all([store.init(), store.init(), store.init()])
      const calls: Promise<unknown>[] = []
      for (let index = 0; index < 600; index += 1) {
        const session = sessions[index % 3]!
        calls.push(session.write(`k${index % 20}`, String(index)))
        if (index % 10 === 0) calls.push(session.update('counter', (value) => String(Number(value) + 1)))
        if (index % 15 === 0) calls.push(session.read('k1'), session.list(), collect(session.entries()))
      }
      const settled = Promise.allSettled(calls)
      await store.close()
      for (const result of await settled) {
        if (result.status === 'fulfilled') continue
        expect(AgentStateError.is(result.reason, 'STORE_CLOSED')).toBe(true)
        expect((result.reason as AgentStateError).outcome).toBe('unchanged')
      }
    },
  )
  given.test('a call after the call of `close` is refused, even before `close` has resolved', async () => {
    const store = await given.open()
    const session = await store.init()
    const before = session.write('a', '1')
    const closing = store.close()
    const calls = [() => session.write('b', '1'), () => session.read('a'), () => session.entry('a')]
    for (const call of calls) await refusal('STORE_CLOSED', call)
    await closing
    expect((await before).key).toBe('a')
  })
  given.test(
    'I11: an update whose function never returns does not keep the store from closing, nor do those that wait for it',
    async () => {
      const store = await given.open()
      const session = await store.init()
      const started = deferred()
      const never = session.update('k', () => {
        started.resolve()
        return new Promise<string>(() => {})
      })
      const waiting = session.update('k', () => 'x')
      const outcomes = Promise.all([failureOf(() => never), failureOf(() => waiting)])
      await started.promise
      await store.close()
      for (const error of await outcomes) expect(AgentStateError.is(error, 'STORE_CLOSED')).toBe(true)
    },
  )
  given.test('`onProgress` is told how much is done of what is needed', async () => {
    const store = await given.open()
    const session = await store.init()
    await Promise.all(Array.from({ length: 50 }, (_, index) => session.write(`k${index}`, 'x')))
    const reports: [number, number][] = []
    await store.close({ onProgress: (done, total) => void reports.push([done, total]) })
    for (const [done, total] of reports) {
      expect(done).toBeGreaterThanOrEqual(0)
      expect(done).toBeLessThanOrEqual(total)
    }
  })
}

function flushing(given: Given): void {
  given.test(
    '`flush` resolves when everything acknowledged so far is in the tree, and the store goes on',
    async () => {
      const session = await given.session()
      await given.store().flush()
      await Promise.all(Array.from({ length: 20 }, (_, index) => session.write(`k${index}`, 'x')))
      await Promise.all([given.store().flush(), given.store().flush(), session.write('k', '1')])
      await session.delete('k')
      await given.store().flush()
      expect((await session.list()).length).toBe(20)
    },
  )
  given.test(
    'with `durability: tree` writes, deletes, batches and updates work as with `journal`',
    async () => {
      const session = await given.session({ durability: 'tree' })
      const first = await session.write('a/b', '1')
      const [second] = await session.batch([{ write: 'c', value: '1' }, { delete: 'a/b' }])
      expect(second.revision).toBeGreaterThan(first.revision)
      await session.update('c', (value) => `${value}2`)
      expect(await session.delete('c')).toMatchObject({ deleted: true })
      expect(await session.delete('c')).toMatchObject({ deleted: false })
      const many = Array.from({ length: 20 }, (_, index) => session.write('same', String(index)))
      await Promise.all(many)
      expect(await session.read('same')).toBe('19')
    },
  )
}

function reopened(given: Given): void {
  given.testUnless(
    'reopen',
    'I1: everything acknowledged is there after opening again: values, revisions, writers, times, namespaces',
    async () => {
      for (const flush of [true, false]) {
        const store = await given.open()
        const [ann, ben] = await writersIn(store, 'ann', 'ben')
        await ann.write('a/b', 'text')
        await ben.write('bytes', Uint8Array.from([0xff, 0x00]))
        await ann.write('empty', '')
        await ann.with({ writer: {} }).write('a/b', 'anonymous over ann')
        await ben.write('gone', '1')
        await ben.delete('gone')
        await store.init('empty namespace')
        await store.init('removed')
        await store.remove('removed')
        const before = await collect(ann.entries())
        await store.close({ flush })
        const again = await given.reopen(store)
        const session = await again.resume(ann.namespace)
        expect(await collect(session.entries())).toEqual(before)
        expect(before.map((entry) => [entry.key, entry.writer?.writerId])).toEqual([
          ['a/b', 'ann'],
          ['bytes', 'ben'],
          ['empty', 'ann'],
        ])
        expect(new Set(await collect(again.namespaces()))).toEqual(
          new Set([ann.namespace, 'empty namespace']),
        )
      }
    },
  )
  given.testUnless(
    'reopen',
    'I1: of what was under way at `close`, exactly what was acknowledged is there afterwards',
    async () => {
      const store = await given.open()
      const session = await store.init()
      const calls = Array.from({ length: 300 }, (_, index) => session.write(`k${index}`, String(index)))
      const settled = Promise.allSettled(calls)
      await store.close()
      const acknowledged = (await settled).flatMap((result) =>
        result.status === 'fulfilled' ? [result.value] : [],
      )
      const again = await (await given.reopen(store)).resume(session.namespace)
      const found = await collect(again.entries())
      const pair = ({ key, revision }: Pick<WriteResult, 'key' | 'revision'>): string => `${key}@${revision}`
      expect(found.map(pair).sort()).toEqual(acknowledged.map(pair).sort())
    },
  )
}

function reopenedHistory(given: Given): void {
  given.testUnless(
    'reopen',
    'keys of all kinds are listed after opening again, also those that begin or end with a blank',
    async () => {
      const store = await given.open()
      const session = await store.init()
      const spellings = [
        './ lead',
        './trail /.',
        './ /x',
        'line\nbreak',
        '\\',
        '__proto__',
        'a',
        'a.json/b',
        '.hidden/..x',
      ]
      for (const key of spellings) await session.write(key, key)
      const before = await session.list()
      expect(before.length).toBe(spellings.length)
      const later = await (await given.reopen(store)).resume(session.namespace)
      expect(await later.list()).toEqual(before)
      for (const key of spellings) expect(await later.read(key)).toBe(key)
      for (const key of spellings) expect((await later.delete(key)).deleted).toBe(true)
      expect(await later.list()).toEqual([])
    },
  )
  given.testUnless(
    'reopen',
    'revisions go on rising after opening again, also where the highest belonged to something deleted',
    async () => {
      let store = await given.open()
      const { namespace } = await store.init()
      let highest = 0
      for (let round = 0; round < 4; round += 1) {
        const session = await store.resume(namespace)
        const written = await session.write('k', String(round))
        const deleted = await session.delete('k')
        expect(written.revision).toBeGreaterThan(highest)
        highest = deleted.revision!
        store = await given.reopen(store)
      }
    },
  )
  given.testUnless(
    'reopen',
    'conflicts are found against writers from before, and nobody has seen anything',
    async () => {
      const store = await given.open()
      const [ann, ben] = await writersIn(store, 'ann', 'ben')
      await ann.write('k', '1')
      await ben.read('k')
      const again = await given.reopen(store)
      const later = await again.resume(ann.namespace, { writer: { writerId: 'ben' } })
      const { conflict } = await later.write('k', '2')
      expect(conflict).toMatchObject({
        rule: 'writer-change',
        previous: { writerId: 'ann' },
        seenRevision: null,
      })
    },
  )
  given.testUnless('reopen', '`ifRevision` holds across opening again', async () => {
    const store = await given.open()
    const session = await store.init()
    const { revision } = await session.write('k', '1')
    const later = await (await given.reopen(store)).resume(session.namespace)
    await refusal('REVISION_MISMATCH', () => later.write('k', '2', { ifRevision: null }))
    await later.write('k', '2', { ifRevision: revision })
  })
}
