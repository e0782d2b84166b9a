/** I9: everything has a bound; at it callers wait, or get a clear error. */
import { expect } from 'vitest'
import { refusal } from '../observe.js'
import type { Given } from '../given.js'

export function limits(given: Given): void {
  values(given)
  keys(given)
  batches(given)
  queues(given)
  memories(given)
}

function values(given: Given): void {
  given.testUnless(
    'limits',
    'a value of `valueBytesMax` works, one byte more is LIMIT_EXCEEDED; a text counts in UTF-8',
    async () => {
      const store = await given.open({ limits: { valueBytesMax: 10 } })
      const session = await store.init()
      for (const value of ['0123456789', 'üüüüü', '😀😀ab', new Uint8Array(10), ''])
        await session.write('k', value)
      const tooLarge = ['0123456789a', 'üüüüüa', '😀😀😀', new Uint8Array(11)]
      for (const value of tooLarge) {
        const expected = { limit: 'valueBytesMax', max: 10, outcome: 'unchanged', retryable: false }
        const error = await refusal('LIMIT_EXCEEDED', () => session.write('k', value))
        expect(error).toMatchObject({ ...expected, key: 'k', actual: Buffer.byteLength(value) })
        await refusal('LIMIT_EXCEEDED', () => session.update('k', () => value))
        await refusal('LIMIT_EXCEEDED', () =>
          session.batch([
            { write: 'a', value: '' },
            { write: 'k', value },
          ]),
        )
      }
      await refusal('LIMIT_EXCEEDED', () => session.writeJson('k', 'longer than ten'))
      expect(await session.list()).toEqual(['k'])
      expect(await session.read('k')).toBe('')
    },
  )
}

function keys(given: Given): void {
  given.testUnless(
    'limits',
    'a key of `keyBytesMax` works, one byte more is LIMIT_EXCEEDED; it counts as normalized, in UTF-8',
    async () => {
      const store = await given.open({ limits: { keyBytesMax: 6 } })
      const session = await store.init()
      for (const key of ['abcdef', 'a/b/cd', '  ./abcdef// ', 'üüü']) await session.write(key, '')
      for (const key of ['abcdefg', 'a/b/c/d', 'üüüa']) {
        const error = await refusal('LIMIT_EXCEEDED', () => session.write(key, ''))
        expect(error).toMatchObject({
          limit: 'keyBytesMax',
          max: 6,
          actual: Buffer.byteLength(key),
          outcome: 'unchanged',
        })
      }
      expect((await session.list()).length).toBe(3)
    },
  )
  given.testUnless(
    'limits',
    'a namespace takes `namespaceKeysMax` keys: then only changes and deletes of those it has',
    async () => {
      const store = await given.open({ limits: { namespaceKeysMax: 3 } })
      const session = await store.init()
      for (const key of ['a', 'b', 'c']) await session.write(key, '1')
      const error = await refusal('LIMIT_EXCEEDED', () => session.write('d', '1'))
      expect(error).toMatchObject({ limit: 'namespaceKeysMax', max: 3, outcome: 'unchanged' })
      await refusal('LIMIT_EXCEEDED', () =>
        session.batch([
          { write: 'a', value: '2' },
          { write: 'd', value: '1' },
        ]),
      )
      expect(await session.read('a')).toBe('1')
      await session.write('a', '2')
      await session.batch([{ write: 'd', value: '1' }, { delete: 'b' }])
      await session.delete('c')
      await session.write('e', '1')
      expect(await session.list()).toEqual(['a', 'd', 'e'])
      await (await store.init()).write('another namespace', '')
    },
  )
}

function batches(given: Given): void {
  given.testUnless(
    'limits',
    'a batch has at most `queueOperationsMax` operations and `queueBytesMax` bytes of values',
    async () => {
      const store = await given.open({
        limits: { queueOperationsMax: 5, queueBytesMax: 100, valueBytesMax: 60 },
      })
      const session = await store.init()
      const many = (count: number, value: string): { write: string; value: string }[] =>
        Array.from({ length: count }, (_, index) => ({ write: `k${index}`, value }))
      await session.batch(many(5, ''))
      const operations = await refusal('LIMIT_EXCEEDED', () => session.batch(many(6, '')))
      expect(operations).toMatchObject({
        limit: 'queueOperationsMax',
        max: 5,
        actual: 6,
        outcome: 'unchanged',
      })
      await session.batch(many(2, 'x'.repeat(50)))
      const bytes = await refusal('LIMIT_EXCEEDED', () => session.batch(many(2, 'ü'.repeat(26))))
      expect(bytes).toMatchObject({ limit: 'queueBytesMax', max: 100, actual: 104, outcome: 'unchanged' })
      expect((await session.list()).length).toBe(5)
    },
  )
  given.testUnless('limits', 'a batch larger than a commit group is still one unit', async () => {
    const store = await given.open({ limits: { groupOperationsMax: 2, groupBytesMax: 10 } })
    const session = await store.init()
    const operations = Array.from({ length: 9 }, (_, index) => ({
      write: `k${index}`,
      value: 'x'.repeat(20),
    }))
    const results = await session.batch(operations)
    expect(new Set(results.map((result) => result.revision)).size).toBe(1)
    expect((await session.list()).length).toBe(9)
  })
}

function queues(given: Given): void {
  given.testUnless('limits', 'callers wait where a queue is full, and all are served in order', async () => {
    const bounds = [
      { queueOperationsMax: 3 },
      { queueBytesMax: 200, valueBytesMax: 100 },
      { groupOperationsMax: 1 },
      { groupBytesMax: 1 },
      { queueOperationsMax: 1, groupOperationsMax: 1 },
    ]
    for (const bound of bounds) {
      const store = await given.open({ limits: bound })
      const sessions = await Promise.all([store.init(), store.init()])
      const calls = Array.from({ length: 120 }, (_, index) =>
        sessions[index % 2]!.write('k', `${index}`.padStart(90, ' ')),
      )
      const revisions = (await Promise.all(calls)).map((result) => result.revision)
      for (const parity of [0, 1]) {
        const own = revisions.filter((_, index) => index % 2 === parity)
        expect(own).toEqual([...own].sort((one, two) => one - two))
        expect(Number(await sessions[parity]!.read('k'))).toBe(118 + parity)
      }
      await store.close()
    }
  })
  given.testUnless(
    'limits',
    'I3: a namespace with a long queue does not keep the others waiting',
    async () => {
      const limits = { groupOperationsMax: 8, connectionOperationsMax: 64 }
      const store = await given.open({ limits })
      const [flooding, modest] = await Promise.all([store.init(), store.init()])
      await modest.write('k', '0')
      let finished = 0
      const flood = Array.from({ length: 2000 }, (_, index) =>
        flooding.write(`k${index % 50}`, String(index)).then(() => (finished += 1)),
      )
      await modest.write('k', '1')
      const finishedBefore = finished
      await Promise.all(flood)
      // Over a connection it waits for the first credits that come back, and for what was sent before that: each is as much
      // as the connection may have under way. Then for the group that is being committed, and its own.
      expect(finishedBefore).toBeLessThanOrEqual(2 * (64 + 8))
    },
  )
}

function memories(given: Given): void {
  given.testUnless(
    'limits',
    'a session remembers `seenKeysMax` keys; of the others it counts as having seen nothing',
    async () => {
      const store = await given.open({ limits: { seenKeysMax: 3 } })
      const { namespace } = await store.init()
      const ann = await store.resume(namespace, { writer: { writerId: 'ann' } })
      const ben = await store.resume(namespace, { writer: { writerId: 'ben' } })
      const keys = ['a', 'b', 'c', 'd']
      for (const key of keys) await ann.write(key, '1')
      for (const key of keys) await ben.read(key)
      expect((await ben.write('d', '2')).conflict).toBeNull()
      expect((await ben.write('c', '2')).conflict).toBeNull()
      expect((await ben.write('b', '2')).conflict).toBeNull()
      expect((await ben.write('a', '2')).conflict).toMatchObject({
        rule: 'writer-change',
        seenRevision: null,
      })
    },
  )
  given.testUnless('limits', 'a store works with caches too small for anything', async () => {
    const store = await given.open({ limits: { cacheBytesMax: 1, headBytesMax: 1, historyMax: 1 } })
    const sessions = await Promise.all(Array.from({ length: 20 }, (_, index) => store.init(`n${index}`)))
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(sessions.map((session, index) => session.write(`k${round}`, `${index}-${round}`)))
    }
    for (const [index, session] of sessions.entries()) {
      expect(await session.list()).toEqual(['k0', 'k1', 'k2'])
      expect(await session.read('k2')).toBe(`${index}-2`)
      await session.update('k0', (value) => `${value}!`)
      expect(await session.read('k0')).toBe(`${index}-0!`)
    }
  })
}
