/** Many agents, tens of thousands of operations under way at once: afterwards everything must add up. */
import { describe, expect, test } from 'vitest'
import type { Change, Conflict, EventMap, Session, Store } from '../../src/api.js'
import { collect, record } from '../../src/contract/observe.js'
import { AgentStateError } from '../../src/errors.js'
import { forSeeds } from '../durability/support/settings.js'
import { randomFrom } from './fuzz-settings.js'
import type { StoreKind } from './stores.js'

interface Acknowledged {
  readonly key: string
  /** Null: deleted. */
  readonly value: string | null
  readonly revision: number
  readonly writer: string | null
  readonly conflict: Conflict | null
}

export function describeConcurrency(kind: StoreKind, operations: number): void {
  describe(`many agents at once (${kind.name})`, () => {
    test('I1, I3, I4: acknowledgements, conflicts, events and the final state agree, also after opening again', () =>
      forSeeds(`many agents, ${kind.name}`, async (seed) => {
        const state = await kind.create()
        const limits = { queueOperationsMax: 500, queueBytesMax: 1_000_000, valueBytesMax: 500_000 }
        try {
          await runStress(() => state.open({ limits }), seed, operations)
        } finally {
          await state.dispose()
        }
      }))
  })
}

async function runStress(open: () => Promise<Store>, seed: number, operations: number): Promise<void> {
  const store = await open()
  const random = randomFrom(seed)
  const namespaces = await Promise.all(Array.from({ length: 5 }, () => store.init()))
  const logs = await Promise.all(
    namespaces.map(async (base) => {
      const changes = record(store.events, 'change', { namespace: base.namespace })
      const conflicts = record(store.events, 'conflict', { namespace: base.namespace })
      const log = await floodNamespace(base, random, Math.floor(operations / namespaces.length))
      const marker = await base.write('marker', '')
      await changes.until((change) => change.revision === marker.revision)
      checkEvents(log, changes.items.slice(0, -1), conflicts.items)
      return { namespace: base.namespace, log, final: checkReplay(log) }
    }),
  )
  for (const { namespace, final } of logs) await checkState(await store.resume(namespace), final)
  await store.close()
  const again = await open()
  for (const { namespace, final } of logs) await checkState(await again.resume(namespace), final)
  await again.close()
}

/** Everything is asked for before anything is waited for. */
async function floodNamespace(
  base: Session,
  random: () => number,
  operations: number,
): Promise<Acknowledged[]> {
  const writers = ['ann', 'ben', 'cid', 'dan', null]
  const sessions = writers.map((writer) =>
    base.with({ writer: writer === null ? {} : { writerId: writer }, detect: 'writer-change' }),
  )
  const log: Acknowledged[] = []
  const pick = (): string => `k${Math.floor(random() * 12)}`
  const calls = Array.from({ length: operations }, async (_, index) => {
    const session = sessions[Math.floor(random() * sessions.length)]!
    const writer = session.writer?.writerId ?? null
    const key = pick()
    const value = `${writer} ${index}`
    const chosen = random()
    const conflictPolicy = random() < 0.2 ? 'error' : 'ignore'
    try {
      if (chosen < 0.6) {
        const result = await session.write(key, value, { conflictPolicy })
        log.push({ ...result, key, value, writer })
      } else if (chosen < 0.75) {
        const { revision, conflict } = await session.delete(key, { conflictPolicy })
        if (revision !== null) log.push({ key, value: null, revision, writer, conflict })
      } else if (chosen < 0.9) {
        const keys = [...new Set([key, pick(), pick()])]
        const results = await session.batch(
          keys.map((one) => ({ write: one, value })),
          { conflictPolicy },
        )
        results.forEach((result) => log.push({ ...result, value, writer }))
      } else {
        let replaced: string | null = null
        const result = await session.update(key, (before) => ((replaced = before), value), { conflictPolicy })
        if (result !== null) log.push({ ...result, revision: result.revision!, value, writer })
        expect(replaced === null || /^\w+ \d+$/.test(replaced)).toBe(true)
      }
    } catch (error) {
      if (!AgentStateError.is(error, 'CONFLICT')) throw error
      expect(error.conflict.current.writerId).toBe(writer)
      expect(error.conflict.previous?.writerId).not.toBe(writer)
    }
  })
  await Promise.all(calls)
  return log.sort((one, two) => one.revision - two.revision)
}

/** Applies what was acknowledged in the order of the revisions; conflicts must fit that order. */
function checkReplay(log: readonly Acknowledged[]): Map<string, Acknowledged & { named: string | null }> {
  const state = new Map<string, Acknowledged & { named: string | null }>()
  for (const change of log) {
    const before = state.get(change.key)
    const isConflict =
      change.writer !== null &&
      before !== undefined &&
      before.named !== null &&
      before.named !== change.writer
    const expected = isConflict
      ? { previous: { writerId: before.named }, previousRevision: before.revision }
      : null
    if (expected === null) expect(change.conflict).toBeNull()
    else expect(change.conflict).toMatchObject(expected)
    if (change.value === null) state.delete(change.key)
    else state.set(change.key, { ...change, named: change.writer ?? before?.named ?? null })
  }
  return state
}

function checkEvents(
  log: readonly Acknowledged[],
  changes: readonly Change[],
  conflicts: readonly EventMap['conflict'][],
): void {
  const brief = (key: string, revision: number, writer: string | null): string =>
    `${revision} ${key} ${writer}`
  expect(changes.map((change) => change.revision)).toEqual(
    changes.map((change) => change.revision).sort((a, b) => a - b),
  )
  expect(
    changes.map(({ key, revision, writer }) => brief(key, revision, writer?.writerId ?? null)).sort(),
  ).toEqual(log.map(({ key, revision, writer }) => brief(key, revision, writer)).sort())
  const written = conflicts.filter((conflict) => conflict.outcome !== 'refused')
  expect(written.map(({ key, revision }) => `${revision} ${key}`).sort()).toEqual(
    log
      .filter(({ conflict }) => conflict !== null)
      .map(({ key, revision }) => `${revision} ${key}`)
      .sort(),
  )
}

async function checkState(
  session: Session,
  final: Map<string, Acknowledged & { named: string | null }>,
): Promise<void> {
  const entries = await collect(session.entries({ prefix: 'k' }))
  const found = entries.map(({ key, revision, value, writer }) => [
    key,
    revision,
    new TextDecoder().decode(value),
    writer?.writerId ?? null,
  ])
  const expected = [...final.values()].map(({ key, revision, value, named }) => [key, revision, value, named])
  const byKey = (one: readonly unknown[], two: readonly unknown[]): number =>
    String(one[0]) < String(two[0]) ? -1 : 1
  expect(found).toEqual(expected.sort(byKey))
}
