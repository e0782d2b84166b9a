/** A snapshot is a namespace at one revision, however much is written meanwhile. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Operation, Session, Store, Wait } from '../../src/api.js'
import { Spool } from '../../src/archive/spool.js'
import { takeSnapshot, TooBusyError, type Snapshot } from '../../src/archive/snapshot.js'
import { memoryBackend } from '../../src/backend/memory.js'
import type { Limits } from '../../src/limits.js'
import { openStore } from '../../src/store.js'

interface Given {
  readonly store: Store
  readonly session: Session
  readonly spool: Spool
  take(): Promise<Snapshot>
  values(snapshot: Snapshot): Promise<Map<string, string>>
}

async function given(limits: Partial<Limits> = {}): Promise<Given> {
  const store = await openStore({ backend: memoryBackend(), limits })
  const session = await store.init('n')
  const spool = await Spool.open()
  onTestFinished(async () => {
    await store.close()
    await spool.close()
  })
  const { signal } = new AbortController()
  return {
    ...{ store, session, spool },
    take: () => takeSnapshot(session, spool, { signal, onProgress: () => {} }),
    async values({ entries }) {
      const values = new Map<string, string>()
      for (const [key, { place }] of entries)
        values.set(key, Buffer.from(await spool.read(place)).toString('utf8'))
      return values
    },
  }
}

/** Every batch gives all keys one value, deletes one and makes another. */
async function write(session: Session, keys: number, isDone: () => boolean): Promise<Map<number, string>> {
  const written = new Map<number, string>()
  for (let round = 0; !isDone(); round++) {
    const operations: Operation[] = [
      ...Array.from({ length: keys }, (_, key) => ({ write: `all/${key}`, value: `${round}` })),
      { write: `one/${round}`, value: `${round}` },
      { delete: `one/${round - 1}` },
    ]
    const [result] = await session.batch(operations)
    written.set(result!.revision!, `${round}`)
    await nextTurn()
  }
  return written
}

test.each([
  ['as usual', {}],
  ['with a short history', { historyMax: 60 }],
])('shows whole batches and nothing else while others write: %s (I4)', async (_name, limits) => {
  const { session, spool, take, values } = await given(limits)
  let done = false
  const writing = write(session, 20, () => done)
  const taken: { revision: number; values: Map<string, string> }[] = []
  try {
    while (taken.length < 20) {
      await nextTurn()
      const snapshot = await take()
      taken.push({ revision: snapshot.revision, values: await values(snapshot) })
      await spool.clear()
    }
  } finally {
    done = true
  }
  const written = await writing
  let atWrites = 0
  for (const { revision, values } of taken) {
    if (values.size === 0) continue
    const round = values.get('all/0')!
    expect([...new Set(values.values())], `at ${revision}`).toEqual([round])
    expect([...values.keys()].filter((key) => key.startsWith('one/'))).toEqual([`one/${round}`])
    expect(values.size).toBe(21)
    expect(written.get(revision)).toBe(round)
    atWrites++
  }
  expect(atWrites).toBeGreaterThan(10)
  expect(new Set(taken.map(({ revision }) => revision)).size, 'the writers went on').toBeGreaterThan(5)
})

test('has the keys in the order of their bytes, with what is known of them', async () => {
  const { session, take } = await given()
  const ann = session.with({ writer: { writerId: 'ann' } })
  for (const key of ['ä', 'b', '\u{10000}', '\uffee']) await ann.write(key, 'value')
  const { entries, namespace } = await take()
  expect(namespace).toBe('n')
  expect([...entries.keys()]).toEqual(['b', 'ä', '\uffee', '\u{10000}'])
  expect(entries.get('b')?.stat).toMatchObject({ key: 'b', size: 5, writer: { writerId: 'ann' } })
})

test('of an empty namespace is empty', async () => {
  const { take } = await given()
  expect((await take()).entries.size).toBe(0)
})

test('gives up, and says so, when everything changes between any two looks', async () => {
  const { session, spool } = await given()
  await session.write('k', '0')
  // Whoever reads the key finds that it was written just before, and just after.
  const restless = new Proxy(session, {
    get(target, name) {
      if (name !== 'entry') {
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      }
      return async (key: string, options?: Wait) => {
        await session.write('k', 'before')
        const entry = await session.entry(key, options)
        await session.write('k', `${entry?.revision}`)
        return entry
      }
    },
  })
  const { signal } = new AbortController()
  await expect(takeSnapshot(restless, spool, { signal, onProgress: () => {} })).rejects.toThrow(TooBusyError)
})

test('stops when it is told to', async () => {
  const { session, spool } = await given()
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(takeSnapshot(session, spool, { signal, onProgress: () => {} })).rejects.toThrow('enough')
})
