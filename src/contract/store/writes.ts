/** Writing and deleting: revisions, order, and what is seen when. */
import { expect } from 'vitest'
import type { WriteResult } from '../../api.js'
import { nextTurn, record } from '../observe.js'
import type { Given } from '../given.js'

export function writes(given: Given): void {
  revisions(given)
  deletes(given)
  order(given)
  visibility(given)
}

function revisions(given: Given): void {
  given.test(
    'every change has a higher revision than all before it in its namespace, also after deletes and for equal values',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const found: (number | null)[] = []
      for (const key of ['a', 'b', 'a', 'c/d', 'a']) {
        found.push((await ann.write(key, 'same')).revision)
        found.push((await ben.delete(key)).revision)
        found.push((await ben.write(key, 'same')).revision)
        found.push((await ben.write(key, 'same')).revision)
      }
      expect(found.every((revision) => Number.isSafeInteger(revision))).toBe(true)
      expect(found).toEqual([...new Set(found)].sort((one, two) => one! - two!))
    },
  )
  given.test('the revision of an entry is that of its last change', async () => {
    const session = await given.session()
    const first = await session.write('a', '1')
    await session.write('b', '1')
    expect((await session.entry('a'))?.revision).toBe(first.revision)
    const second = await session.write('a', '2')
    expect((await session.stat('a'))?.revision).toBe(second.revision)
  })
  given.test('a write without a conflict says so: key, revision, and conflict null', async () => {
    const session = await given.session({ writer: { writerId: 'ann' } })
    const result = await session.write('a', '1')
    expect(result).toEqual({ key: 'a', revision: result.revision, conflict: null })
  })
}

function deletes(given: Given): void {
  given.test(
    'deleting is idempotent: what is missing has no revision, no event and no conflict',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const changes = record(given.store().events, 'change', { namespace: ann.namespace })
      const conflicts = record(given.store().events, 'conflict', { namespace: ann.namespace })
      await ann.write('k', '1')
      const deleted = await ann.delete('k')
      expect(deleted).toEqual({ key: 'k', deleted: true, revision: deleted.revision, conflict: null })
      for (const session of [ann, ben]) {
        const again = await session.delete('k', { conflictPolicy: 'error' })
        expect(again).toEqual({ key: 'k', deleted: false, revision: null, conflict: null })
      }
      await ann.write('marker', '')
      await changes.until((change) => change.key === 'marker')
      expect(changes.items.map((change) => change.kind)).toEqual(['write', 'delete', 'write'])
      expect(conflicts.items).toEqual([])
    },
  )
  given.test('a deleted key is missing everywhere and can be written again', async () => {
    const session = await given.session()
    await session.batch([
      { write: 'd/e/f', value: '1' },
      { write: 'd/g', value: '2' },
    ])
    await session.delete('d/e/f')
    expect(await session.read('d/e/f')).toBeNull()
    expect(await session.entry('d/e/f')).toBeNull()
    expect(await session.list()).toEqual(['d/g'])
    await session.write('d/e/f', '3')
    expect(await session.read('d/e/f')).toBe('3')
  })
  given.test('pruning empty directories never disturbs a write beside the deleted key', async () => {
    const session = await given.session()
    for (let round = 0; round < 30; round += 1) {
      await session.write(`d/e/old`, 'x')
      const settled = await Promise.all([session.delete('d/e/old'), session.write(`d/e/new`, String(round))])
      expect(settled[0].deleted).toBe(true)
      expect(await session.read('d/e/new')).toBe(String(round))
      await session.delete('d/e/new')
    }
    expect(await session.list()).toEqual([])
  })
}

function order(given: Given): void {
  given.test('I3: calls made one after the other, without waiting, take effect in that order', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const calls: Promise<{ readonly revision: number | null }>[] = []
    for (let index = 0; index < 300; index += 1) {
      const session = index % 2 === 0 ? ann : ben
      if (index % 7 === 3) calls.push(session.delete('k'))
      else if (index % 7 === 5)
        calls.push(session.batch([{ write: 'k', value: String(index) }]).then(([one]) => one))
      else calls.push(session.write('k', String(index)))
    }
    const results = (await Promise.all(calls)).map((result) => result.revision)
    expect(results).toEqual([...results].sort((one, two) => one! - two!))
    expect(new Set(results).size).toBe(results.length)
    expect(await ann.read('k')).toBe('299')
  })
  given.test(
    'I3: change events of a namespace come in commit order, and every acknowledged change has one',
    async () => {
      const [ann, ben, cid] = await given.writers('ann', 'ben', 'cid')
      const changes = record(given.store().events, 'change', { namespace: ann.namespace })
      const results: WriteResult[] = []
      const calls: Promise<unknown>[] = []
      for (let index = 0; index < 200; index += 1) {
        const session = [ann, ben, cid][index % 3]!
        calls.push(session.write(`k${index % 11}`, String(index)).then((result) => results.push(result)))
      }
      await Promise.all(calls)
      const last = await ann.write('marker', '')
      await changes.until((change) => change.revision === last.revision)
      const expected = [...results, last].map((result) => result.revision).sort((one, two) => one - two)
      expect(changes.items.map((change) => change.revision)).toEqual(expected)
    },
  )
  given.test('namespaces are independent: the same key in two of them is two entries', async () => {
    const [one, two] = await Promise.all([given.session(), given.session()])
    await Promise.all([one.write('k', 'one'), two.write('k', 'two')])
    expect(await one.read('k')).toBe('one')
    expect(await two.read('k')).toBe('two')
    await one.delete('k')
    expect(await two.read('k')).toBe('two')
  })
}

function visibility(given: Given): void {
  given.test('an acknowledged write is seen by every session at once, in every way of reading', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    for (let round = 0; round < 20; round += 1) {
      const { revision } = await ann.write('k', String(round))
      expect(await ben.read('k')).toBe(String(round))
      expect((await ben.stat('k'))?.revision).toBe(revision)
      expect(await ben.list()).toEqual(['k'])
      await ann.delete('k')
      expect(await ben.entry('k')).toBeNull()
      expect(await ben.list()).toEqual([])
    }
  })
  given.test('I2: when a change event arrives the change can be read', async () => {
    const session = await given.session()
    const seen: Promise<boolean>[] = []
    const stop = given.store().events.on(
      'change',
      (change) => {
        seen.push(session.stat(change.key).then((stat) => stat !== null && stat.revision >= change.revision))
      },
      { namespace: session.namespace },
    )
    const changes = record(given.store().events, 'change', { namespace: session.namespace })
    await Promise.all(Array.from({ length: 50 }, (_, index) => session.write(`k${index % 5}`, String(index))))
    const last = await session.write('marker', '')
    await changes.until((change) => change.revision === last.revision)
    stop()
    expect(await Promise.all(seen)).toEqual(Array.from({ length: 51 }, () => true))
  })
  given.test(
    'I4: value, revision and writer of an entry always belong together, also while several write',
    async () => {
      const sessions = await given.writers('ann', 'ben', 'cid')
      let writing = true
      const writers = sessions.map(async (session) => {
        for (let round = 0; round < 100; round += 1)
          await session.write('k', session.writer!.writerId!.repeat(round + 1))
      })
      const done = Promise.all(writers).finally(() => (writing = false))
      while (writing) {
        await nextTurn()
        const entry = await sessions[0].entry('k')
        if (entry === null) continue
        expect(entry.size).toBe(entry.value.byteLength)
        expect(new TextDecoder().decode(entry.value)).toMatch(new RegExp(`^(${entry.writer?.writerId})+$`))
      }
      await done
    },
  )
}
