/** When a change counts as a conflict, and what the record says. */
import { expect } from 'vitest'
import { refusal } from '../observe.js'
import type { Given } from '../given.js'

export function conflicts(given: Given): void {
  writerChange(given)
  lostUpdate(given)
  anonymous(given)
  deletions(given)
  past(given)
}

const ORIGIN = { detect: 'writer-change' } as const

function writerChange(given: Given): void {
  given.test(
    'writer-change: a conflict is when both have a writer id and they differ, whatever was seen',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      expect((await ann.write('k', '1', ORIGIN)).conflict).toBeNull()
      expect((await ann.write('k', '2', ORIGIN)).conflict).toBeNull()
      const { revision } = (await ben.entry('k'))!
      const { conflict } = await ben.write('./k', '3', ORIGIN)
      expect(conflict).toEqual({
        namespace: ann.namespace,
        key: 'k',
        rule: 'writer-change',
        current: { writerId: 'ben' },
        previous: { writerId: 'ann' },
        previousRevision: revision,
        seenRevision: revision,
      })
      expect((await ben.write('k', '4', ORIGIN)).conflict).toBeNull()
    },
  )
  given.test('writer-change: an empty writer id counts as one', async () => {
    const [nameless, ben] = await given.writers('', 'ben')
    await nameless.write('k', '1', ORIGIN)
    expect((await ben.write('k', '2', ORIGIN)).conflict?.previous).toEqual({ writerId: '' })
    expect((await nameless.write('k', '3', ORIGIN)).conflict?.current).toEqual({ writerId: '' })
  })
  given.test(
    'writer-change: the whole identities are in the record, and only the writer ids are compared',
    async () => {
      const one = await given.session({
        writer: { writerId: 'w', stageId: 'one', workerId: 'k1' },
        ...ORIGIN,
      })
      const two = one.with({ writer: { writerId: 'w', stageId: 'two' } })
      const three = one.with({ writer: { stageId: 'three' } })
      await one.write('k', '1')
      expect((await two.write('k', '2')).conflict).toBeNull()
      expect((await three.write('k', '3')).conflict).toMatchObject({
        previous: { writerId: 'w', stageId: 'two' },
        current: { writerId: 'three', stageId: 'three' },
      })
    },
  )
}

function lostUpdate(given: Given): void {
  given.test('lost-update: overwriting what was changed since it was seen is a conflict', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const first = await ann.write('k', '1')
    await ben.read('k')
    const second = await ann.write('k', '2')
    expect((await ben.write('k', '3')).conflict).toEqual({
      namespace: ann.namespace,
      key: 'k',
      rule: 'lost-update',
      current: { writerId: 'ben' },
      previous: { writerId: 'ann' },
      previousRevision: second.revision,
      seenRevision: first.revision,
    })
  })
  given.test('lost-update: reading and then writing, by several in turn, is none', async () => {
    const sessions = await given.writers('ann', 'ben', 'cid')
    for (let round = 0; round < 9; round += 1) {
      const session = sessions[round % 3]!
      const value = await session.read('k')
      expect(
        (await session.write('k', `${value ?? ''}${round}`, { conflictPolicy: 'error' })).conflict,
      ).toBeNull()
    }
    expect(await sessions[0].read('k')).toBe('012345678')
  })
  given.test('lost-update: a key seen as missing that somebody made meanwhile is a conflict', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    expect(await ben.read('k')).toBeNull()
    const { revision } = await ann.write('k', '1')
    expect((await ben.write('k', '2')).conflict).toMatchObject({
      rule: 'lost-update',
      previous: { writerId: 'ann' },
      previousRevision: revision,
      seenRevision: null,
    })
    expect(await ann.read('other')).toBeNull()
    expect((await ann.write('other', '1')).conflict).toBeNull()
  })
  given.test('lost-update: what the same writer changed, in another session of his, is none', async () => {
    const [first, second, other] = await given.writers('ann', 'ann', 'ben')
    await first.write('k', '1')
    await first.read('k')
    await second.write('k', '2')
    expect((await first.write('k', '3')).conflict).toBeNull()
    await other.write('k', '4')
    expect((await first.write('k', '5')).conflict?.previous).toEqual({ writerId: 'ben' })
  })
  given.test('lost-update: a key that the session never saw is judged by writer-change', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const { revision } = await ann.write('k', '1')
    expect((await ben.write('k', '2')).conflict).toMatchObject({
      rule: 'writer-change',
      previous: { writerId: 'ann' },
      previousRevision: revision,
      seenRevision: null,
    })
  })
}

function anonymous(given: Given): void {
  given.test(
    'an anonymous session never conflicts, whatever the rule, the policy and what it saw',
    async () => {
      const [ann] = await given.writers('ann')
      const nobody = ann.with({ writer: {} })
      for (const detect of ['lost-update', 'writer-change'] as const) {
        await nobody.read('k')
        await ann.write('k', '1')
        const options = { detect, conflictPolicy: 'error' } as const
        expect((await nobody.write('k', '2', options)).conflict).toBeNull()
        await ann.write('k', '3')
        expect((await nobody.delete('k', options)).conflict).toBeNull()
      }
    },
  )
  given.test(
    'writer-change: an anonymous write in between hides nobody: the last named writer counts',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      await ann.write('k', '1')
      const { revision } = await ann.with({ writer: {} }).write('k', '2')
      const { conflict } = await ben.write('k', '3', ORIGIN)
      expect(conflict).toMatchObject({ previous: { writerId: 'ann' }, previousRevision: revision })
    },
  )
  given.test('what was only ever written anonymously is no conflict for one who never saw it', async () => {
    const [ann] = await given.writers('ann')
    await ann.with({ writer: {} }).write('k', '1')
    for (const detect of ['lost-update', 'writer-change'] as const) {
      const fresh = ann.with({})
      expect((await fresh.write('k', '2', { detect })).conflict).toBeNull()
    }
  })
  given.test(
    'lost-update: an anonymous change of what was seen is a conflict with nobody, also over own earlier writes',
    async () => {
      const [ann] = await given.writers('ann')
      const first = await ann.write('k', '1')
      const { revision } = await ann.with({ writer: {} }).write('k', '2')
      expect((await ann.write('k', '3')).conflict).toMatchObject({
        rule: 'lost-update',
        previous: null,
        previousRevision: revision,
        seenRevision: first.revision,
      })
    },
  )
}

function deletions(given: Given): void {
  given.test('a named session deletes under the same rules as it writes', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const first = await ann.write('k', '1')
    expect((await ben.delete('k')).conflict).toMatchObject({
      rule: 'writer-change',
      previous: { writerId: 'ann' },
    })
    await ann.write('k', '2')
    const seen = (await ben.entry('k'))!.revision
    expect(seen).toBeGreaterThan(first.revision)
    const third = await ann.write('k', '3')
    const { conflict } = await ben.delete('k')
    expect(conflict).toMatchObject({
      rule: 'lost-update',
      previousRevision: third.revision,
      seenRevision: seen,
    })
    await ann.write('k', '4')
    await ben.read('k')
    expect((await ben.delete('k', { conflictPolicy: 'error' })).conflict).toBeNull()
  })
  given.test(
    'lost-update: writing what somebody deleted since it was seen is a conflict with a missing key',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const { revision } = await ann.write('k', '1')
      await ben.read('k')
      await ann.delete('k')
      const error = await refusal('CONFLICT', () => ben.write('k', '2', { conflictPolicy: 'error' }))
      expect(error.conflict).toMatchObject({
        rule: 'lost-update',
        previousRevision: null,
        seenRevision: revision,
      })
      expect([null, 'ann']).toContain(error.conflict.previous?.writerId ?? null)
      expect(await ben.read('k')).toBeNull()
      expect((await ben.write('k', '2', { conflictPolicy: 'error' })).conflict).toBeNull()
    },
  )
  given.test('deleting what somebody else deleted is no conflict', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.write('k', '1')
    await ben.read('k')
    await ann.delete('k')
    expect(await ben.delete('k', { conflictPolicy: 'error' })).toMatchObject({
      deleted: false,
      conflict: null,
    })
  })
  given.test('own deletions count as seeing the key missing', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ben.write('k', '1')
    await ben.delete('k')
    expect((await ben.write('k', '2', { conflictPolicy: 'error' })).conflict).toBeNull()
    await ben.delete('k')
    const { revision } = await ann.with({ writer: {} }).write('k', '3')
    expect((await ben.write('k', '4')).conflict).toMatchObject({
      seenRevision: null,
      previousRevision: revision,
    })
  })
}

function past(given: Given): void {
  given.test('past conflicts are remembered, refused ones too, oldest first', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    await ann.write('k', '1')
    const { revision } = await ben.write('k', '2')
    await refusal('CONFLICT', () => ann.write('k', '3', { conflictPolicy: 'error' }))
    const { namespace } = ann
    const conflicts = await given.store().conflicts({ namespace })
    expect(conflicts).toMatchObject([
      {
        namespace,
        key: 'k',
        current: { writerId: 'ben' },
        previous: { writerId: 'ann' },
        outcome: 'written',
      },
      {
        namespace,
        key: 'k',
        current: { writerId: 'ann' },
        policy: 'error',
        outcome: 'refused',
        revision: null,
      },
    ])
    expect(conflicts[0]!.revision).toBe(revision)
    expect(await given.store().conflicts({ namespace: 'nobody' })).toEqual([])
    expect((await given.store().conflicts()).length).toBeGreaterThanOrEqual(2)
  })
  given.testUnless('limits', 'of past conflicts only so many are remembered', async () => {
    const store = await given.open({ limits: { conflictLogMax: 3 } })
    const ann = await store.init('n', { writer: { writerId: 'ann' } })
    const ben = ann.with({ writer: { writerId: 'ben' } })
    for (let round = 0; round < 4; round++) {
      await ann.write(`k${round}`, '1')
      await ben.write(`k${round}`, '2')
    }
    expect((await store.conflicts()).map(({ key }) => key)).toEqual(['k1', 'k2', 'k3'])
  })
}
