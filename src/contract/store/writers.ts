/** Who a session says it is, and whom the store remembers. */
import { expect } from 'vitest'
import type { Writer } from '../../api.js'
import { misuse } from '../observe.js'
import type { Given } from '../given.js'

export function writers(given: Given): void {
  identities(given)
  remembered(given)
  refusing(given)
}

function identities(given: Given): void {
  const cases: readonly (readonly [Writer | undefined, Writer | null])[] = [
    [undefined, null],
    [{}, null],
    [{ writerId: undefined, stageId: undefined }, null],
    [{ writerId: 'w' }, { writerId: 'w' }],
    [{ workerId: 'k' }, { writerId: 'k', workerId: 'k' }],
    [{ stageId: 's' }, { writerId: 's', stageId: 's' }],
    [{ sessionId: 'x' }, { writerId: 'x', sessionId: 'x' }],
    [
      { sessionId: 'x', stageId: 's', workerId: 'k' },
      { writerId: 'k', sessionId: 'x', stageId: 's', workerId: 'k' },
    ],
    [
      { sessionId: 'x', stageId: 's' },
      { writerId: 's', sessionId: 'x', stageId: 's' },
    ],
    [
      { writerId: '', workerId: 'k' },
      { writerId: '', workerId: 'k' },
    ],
  ]
  given.test(
    'an identity without `writerId` takes it from worker, stage or session, in this order; an empty one is anonymous',
    async () => {
      for (const [writer, expected] of cases) {
        const session = await given.session({ writer })
        expect(session.writer).toEqual(expected)
        await session.write('k', '1')
        expect((await session.stat('k'))?.writer ?? null).toEqual(expected)
        expect((await session.entry('k'))?.writer ?? null).toEqual(expected)
      }
    },
  )
  given.test('a writer is stored as it is: any text, also one that looks like something else', async () => {
    for (const writerId of ['', ' w ', '__proto__', '"quoted"\n', 'ü😀', 'null', 'w'.repeat(1000)]) {
      const session = await given.session({ writer: { writerId } })
      await session.write('k', '1')
      expect((await session.stat('k'))?.writer).toEqual({ writerId })
    }
  })
}

function remembered(given: Given): void {
  given.test('a named write replaces the stored identity as a whole', async () => {
    const first = await given.session({
      writer: { writerId: 'ann', stageId: 's', sessionId: 'x', workerId: 'k' },
    })
    const second = first.with({ writer: { writerId: 'ben' } })
    await first.write('k', '1')
    await second.write('k', '2')
    expect((await first.stat('k'))?.writer).toEqual({ writerId: 'ben' })
  })
  given.test('an anonymous write keeps the last named writer, but a deletion forgets it', async () => {
    const [ann] = await given.writers('ann')
    const anonymous = ann.with({ writer: {} })
    expect(anonymous.writer).toBeNull()
    await ann.write('k', '1')
    const { revision } = await anonymous.write('k', '2')
    expect(await ann.stat('k')).toMatchObject({ revision, writer: { writerId: 'ann' } })
    await anonymous.delete('k')
    await anonymous.write('k', '3')
    expect((await ann.stat('k'))?.writer).toBeNull()
  })
  given.test('change events name who made this change: null for an anonymous one', async () => {
    const [ann] = await given.writers('ann')
    const watched = ann.watch()[Symbol.asyncIterator]()
    await ann.write('k', '1')
    await ann.with({ writer: {} }).write('k', '2')
    await ann.delete('k')
    const items = [await watched.next(), await watched.next(), await watched.next()]
    const writersSeen = items.map((item) => (item.value as { writer: Writer | null }).writer)
    expect(writersSeen).toEqual([{ writerId: 'ann' }, null, { writerId: 'ann' }])
    await watched.return?.()
  })
}

function refusing(given: Given): void {
  given.test('a writer of a wrong shape is a TypeError', async () => {
    const wrong: readonly unknown[] = [
      'ann',
      1,
      true,
      [],
      null,
      { writerId: 1 },
      { writerId: null },
      { stageId: {} },
    ]
    for (const writer of wrong) {
      const error = await misuse(() => given.store().init({ writer: writer as Writer }))
      expect(error, JSON.stringify(writer)).toBeInstanceOf(TypeError)
    }
  })
  given.test('a misspelt field of a writer is a TypeError that names the right one', async () => {
    const error = await misuse(() => given.store().init({ writer: { writerID: 'ann' } as Writer }))
    expect(error.message).toContain('writerId')
  })
}
