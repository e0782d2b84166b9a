/** What becomes of a conflicting change, and who is told. */
import { expect } from 'vitest'
import type { ConflictPolicy } from '../../api.js'
import { misuse, record, refusal } from '../observe.js'
import type { Given } from '../given.js'

export function policies(given: Given): void {
  goingThrough(given)
  refused(given)
  defaults(given)
  races(given)
  events(given)
  unknown(given)
}

function goingThrough(given: Given): void {
  for (const conflictPolicy of ['ignore', 'warn'] as const) {
    given.test(
      `${conflictPolicy}: a conflicting write or delete takes place, and its result has the conflict`,
      async () => {
        const warnings = record(given.store().events, 'warning')
        const [ann, ben] = await given.writers('ann', 'ben')
        await ann.write('k', '1')
        const written = await ben.write('k', '2', { conflictPolicy })
        expect(written.conflict).toMatchObject({
          current: { writerId: 'ben' },
          previous: { writerId: 'ann' },
        })
        expect(await ann.stat('k')).toMatchObject({ revision: written.revision, writer: { writerId: 'ben' } })
        const deleted = await ann.delete('k', { conflictPolicy })
        expect(deleted).toMatchObject({ deleted: true, conflict: { current: { writerId: 'ann' } } })
        expect(await ben.read('k')).toBeNull()
        if (conflictPolicy === 'warn')
          await warnings.until((warning) => warning.message.includes(ann.namespace))
        warnings.stop()
      },
    )
  }
  given.test('a warning names the key and both writers, and never shows values', async () => {
    const [ann, ben] = await given.writers('writer-ann', 'writer-ben')
    const warnings = record(given.store().events, 'warning')
    await ann.write('the-key', 'secret-before')
    await ben.write('the-key', 'secret-after', { conflictPolicy: 'warn' })
    const isOurs = (warning: { message: string }): boolean => warning.message.includes('the-key')
    const { message } = (await warnings.until(isOurs)).find(isOurs)!
    for (const part of ['the-key', 'writer-ann', 'writer-ben']) expect(message).toContain(part)
    expect(message).not.toContain('secret')
    warnings.stop()
  })
}

function refused(given: Given): void {
  given.test(
    'error: CONFLICT with both identities, and nothing changes: value, writer, revision, list',
    async () => {
      const [ann, ben] = await given.writers('ann', 'ben')
      const changes = record(given.store().events, 'change', { namespace: ann.namespace })
      await ann.write('k', '1')
      const before = await ann.entry('k')
      for (const act of [
        () => ben.write('k', 'secret-value', { conflictPolicy: 'error' }),
        () => ben.delete('k', { conflictPolicy: 'error' }),
        () => ben.update('k', () => 'secret-value', { conflictPolicy: 'error', detect: 'writer-change' }),
        () => ben.with({}).writeJson('k', 'secret-value', { conflictPolicy: 'error' }),
      ]) {
        const error = await refusal('CONFLICT', act)
        expect(error).toMatchObject({
          outcome: 'unchanged',
          retryable: false,
          namespace: ann.namespace,
          key: 'k',
        })
        expect(error.conflict).toMatchObject({
          current: { writerId: 'ben' },
          previous: { writerId: 'ann' },
          previousRevision: before!.revision,
        })
        for (const part of ["'k'", "'ann'", "'ben'"]) expect(error.message).toContain(part)
        expect(error.message).not.toContain('secret')
      }
      expect(await ann.entry('k')).toEqual(before)
      await ann.write('marker', '')
      await changes.until((change) => change.key === 'marker')
      expect(changes.items.length).toBe(2)
    },
  )
}

function defaults(given: Given): void {
  given.test('a narrower setting replaces a wider one: store, `init`, `with`, call', async () => {
    const store = await given.open({ conflictPolicy: 'error', writer: { writerId: 'store' } })
    const { namespace } = await store.init()
    const wide = await store.resume(namespace)
    expect(wide.writer).toEqual({ writerId: 'store' })
    const ann = await store.resume(namespace, { writer: { stageId: 'ann' }, detect: 'writer-change' })
    expect(ann.writer).toEqual({ writerId: 'ann', stageId: 'ann' })
    await wide.write('k', '1')
    await refusal('CONFLICT', () => ann.write('k', '2'))
    await ann.read('k')
    await refusal('CONFLICT', () => ann.write('k', '2'))
    const relaxed = ann.with({ conflictPolicy: 'ignore' })
    expect(relaxed.writer).toEqual(ann.writer)
    expect(relaxed.namespace).toBe(namespace)
    await refusal('CONFLICT', () => relaxed.write('k', '2', { conflictPolicy: 'error' }))
    expect((await relaxed.write('k', '2')).conflict).not.toBeNull()
    await refusal('CONFLICT', () => wide.write('k', '3'))
    await wide.read('k')
    await refusal('CONFLICT', () => wide.write('k', '3', { detect: 'writer-change' }))
    await wide.write('k', '3')
    const anonymous = wide.with({ writer: {} })
    expect(anonymous.writer).toBeNull()
    await anonymous.write('k', '4')
  })
}

function races(given: Given): void {
  given.test(
    'of several writers under `error` who write the same new key at the same moment, exactly one succeeds',
    async () => {
      const writers = await given.writers('ann', 'ben', 'cid', 'dan', 'eve')
      for (let round = 0; round < 40; round += 1) {
        const key = `k${round}`
        const settled = await Promise.allSettled(
          writers.map((session) =>
            session.write(key, session.writer!.writerId!, { conflictPolicy: 'error' }),
          ),
        )
        const winners = settled.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []))
        expect(winners.length).toBe(1)
        expect(await writers[0].read(key)).toBe(writers[winners[0]!]!.writer!.writerId)
      }
    },
  )
  given.test(
    'of several who read a key and then write it at the same moment under `error`, exactly one succeeds',
    async () => {
      const writers = await given.writers('ann', 'ben', 'cid', 'dan')
      for (let round = 0; round < 20; round += 1) {
        await Promise.all(writers.map((session) => session.read('k')))
        const settled = await Promise.allSettled(
          writers.map((session) => session.write('k', `${round}`, { conflictPolicy: 'error' })),
        )
        expect(settled.filter((result) => result.status === 'fulfilled').length).toBe(1)
      }
    },
  )
}

function events(given: Given): void {
  given.test('a conflict event is published for every policy, with what became of the change', async () => {
    const [ann, ben] = await given.writers('ann', 'ben')
    const found = record(given.store().events, 'conflict', { namespace: ann.namespace })
    const beforeMs = Date.now()
    const first = await ann.write('k', '1')
    const written = await ben.write('k', '2')
    const warned = await ann.write('k', '3', { conflictPolicy: 'warn', detect: 'writer-change' })
    const { conflict } = await refusal('CONFLICT', () =>
      ben.write('k', '4', { conflictPolicy: 'error', detect: 'writer-change' }),
    )
    const deleted = await ben.delete('k', { detect: 'writer-change' })
    await found.until((event) => event.outcome === 'deleted')
    expect(found.items.map(({ atMs: _, ...event }) => event)).toEqual([
      { ...written.conflict, policy: 'ignore', outcome: 'written', revision: written.revision },
      { ...warned.conflict, policy: 'warn', outcome: 'written', revision: warned.revision },
      { ...conflict, policy: 'error', outcome: 'refused', revision: null },
      { ...deleted.conflict, policy: 'ignore', outcome: 'deleted', revision: deleted.revision },
    ])
    expect(written.conflict?.previousRevision).toBe(first.revision)
    for (const event of found.items) {
      expect(event.atMs).toBeGreaterThanOrEqual(Math.floor(beforeMs))
      expect(event.atMs).toBeLessThanOrEqual(Date.now())
    }
  })
}

function unknown(given: Given): void {
  given.test('an unknown policy or rule is misuse, and nothing changes', async () => {
    const session = await given.session()
    for (const wrong of ['eror', 'ERROR!', 1, null, {}, ['error'], true]) {
      await misuse(() => session.write('k', 'x', { conflictPolicy: wrong as ConflictPolicy }))
      await misuse(() => session.with({ conflictPolicy: wrong as ConflictPolicy }))
      await misuse(() => session.write('k', 'x', { detect: wrong as 'lost-update' }))
      await misuse(() => session.write('k', 'x', { durability: wrong as 'tree' }))
    }
    expect(await session.list()).toEqual([])
  })
}
