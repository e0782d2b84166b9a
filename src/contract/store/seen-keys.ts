/** What counts as having seen a key, which is what a lost update is judged by. */
import { expect } from 'vitest'
import type { Session } from '../../api.js'
import { collect, misuse, refusal } from '../observe.js'
import type { Given } from '../given.js'

export function seenKeys(given: Given): void {
  seeing(given)
  notSeeing(given)
  ownMemory(given)
  seenRevision(given)
}

function seeing(given: Given): void {
  const ways: Readonly<Record<string, (session: Session) => Promise<unknown>>> = {
    read: (session) => session.read('k'),
    readBytes: (session) => session.readBytes('k'),
    readJson: (session) => session.readJson('k'),
    entry: (session) => session.entry('k'),
    entries: (session) => collect(session.entries()),
    'update that changes nothing': (session) => session.update('k', () => undefined),
    'own write': (session) => session.write('k', '10'),
    'own batch': (session) => session.batch([{ write: 'k', value: '10' }]),
  }
  for (const [way, see] of Object.entries(ways)) {
    given.test(`${way} counts as seeing the key`, async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('k', '1')
      await see(ben)
      const seen = (await ann.stat('k'))!.revision
      await ann.write('k', '2')
      expect((await ben.write('k', '3')).conflict).toMatchObject({ rule: 'lost-update', seenRevision: seen })
    })
  }
}

function notSeeing(given: Given): void {
  const ways: Readonly<Record<string, (session: Session) => Promise<unknown>>> = {
    stat: (session) => session.stat('k'),
    list: (session) => session.list(),
    'a refused write': (session) =>
      refusal('CONFLICT', () =>
        session.write('k', '2', { conflictPolicy: 'error', detect: 'writer-change' }),
      ),
    'a write whose condition failed': (session) =>
      refusal('REVISION_MISMATCH', () => session.write('k', '2', { ifRevision: null })),
    'a change event or watch item': async (session) => {
      const items = session.watch({ initial: true })[Symbol.asyncIterator]()
      expect((await items.next()).value).toMatchObject({ type: 'initial', key: 'k' })
      await items.return?.()
    },
  }
  for (const [way, look] of Object.entries(ways)) {
    given.test(`${way} does not count as seeing the key`, async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('k', '1')
      await look(ben)
      expect((await ben.write('k', '3')).conflict).toMatchObject({
        rule: 'writer-change',
        seenRevision: null,
      })
    })
  }
  given.test('entries that were read ahead, but not given to the caller, do not count as seen', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.batch(['a', 'b', 'c'].map((key) => ({ write: key, value: '1' })))
    for await (const entry of ben.entries()) {
      expect(entry.key).toBe('a')
      break
    }
    expect((await ben.write('b', '2')).conflict).toMatchObject({ rule: 'writer-change', seenRevision: null })
    expect((await ben.write('a', '2')).conflict).toBeNull()
  })
  given.test('a refused write stays refused until the key was read', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.write('k', '1')
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await refusal('CONFLICT', () => ben.write('k', '2', { conflictPolicy: 'error' }))
    }
    expect(await ben.read('k')).toBe('1')
    expect((await ben.write('k', '2', { conflictPolicy: 'error' })).conflict).toBeNull()
  })
}

function ownMemory(given: Given): void {
  given.test(
    'what a session saw is its own: another of the same writer, or made by `with`, has seen nothing',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('k', '1')
      await ben.read('k')
      expect((await ben.with({}).write('k', '2')).conflict).toMatchObject({ rule: 'writer-change' })
      await ann.write('k', '3')
      const again = await given.store().resume(ann.namespace, { writer: { writerId: 'ben' } })
      expect((await again.write('k', '4')).conflict).toMatchObject({
        rule: 'writer-change',
        seenRevision: null,
      })
    },
  )
}

function seenRevision(given: Given): void {
  given.test(
    '`seenRevision` says for one operation what was seen, in place of what the session remembers',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const first = await ann.write('k', '1')
      const second = await ann.write('k', '2')
      const stale = await ben.write('k', '3', { seenRevision: first.revision })
      expect(stale.conflict).toMatchObject({
        rule: 'lost-update',
        seenRevision: first.revision,
        previousRevision: second.revision,
      })
      await ann.write('k', '4')
      const { revision } = (await ann.stat('k'))!
      expect(
        (await ben.write('k', '5', { seenRevision: revision, conflictPolicy: 'error' })).conflict,
      ).toBeNull()
      await ann.write('k', '6')
      const missing = await ben.write('k', '7', { seenRevision: null })
      expect(missing.conflict).toMatchObject({
        rule: 'lost-update',
        seenRevision: null,
        previous: { writerId: 'ann' },
      })
      expect(
        (await ben.write('new', '1', { seenRevision: null, conflictPolicy: 'error' })).conflict,
      ).toBeNull()
    },
  )
  given.test('`seenRevision` works for deletes and for each operation of a batch', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const [a, b] = await ann.batch([
      { write: 'a', value: '1' },
      { write: 'b', value: '1' },
    ])
    await ann.write('b', '2')
    const results = await ben.batch([
      { delete: 'a', seenRevision: a.revision },
      { write: 'b', value: '3', seenRevision: b.revision },
    ])
    expect(results[0].conflict).toBeNull()
    expect(results[1].conflict).toMatchObject({ rule: 'lost-update', seenRevision: b.revision })
    await ann.write('b', '4')
    const error = await refusal('CONFLICT', () =>
      ben.delete('b', { seenRevision: b.revision, conflictPolicy: 'error' }),
    )
    expect(error.conflict.seenRevision).toBe(b.revision)
  })
  given.test('a `seenRevision` that is no revision is misuse', async () => {
    const [ann] = await given.writers('ann')
    for (const wrong of ['1', NaN, -1, 0.5, true, {}]) {
      const seenRevision = wrong as number
      await misuse(() => ann.write('k', 'x', { seenRevision }))
      await misuse(() => ann.batch([{ write: 'k', value: 'x', seenRevision }]))
    }
    expect(await ann.list()).toEqual([])
  })
}
