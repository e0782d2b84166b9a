/** Histories of several agents on one namespace, checked for linearizability. */
import { describe, test } from 'vitest'
import type { Session } from '../../src/api.js'
import { collect, nextTurn } from '../../src/contract/observe.js'
import { fuzzSettings, randomFrom } from './fuzz-settings.js'
import { checkLinearizable, History } from './linearizability.js'
import type { StoreKind } from './stores.js'

const KEYS = ['a', 'b', 'c', 'd']

export function describeHistories(kind: StoreKind, numRuns: number): void {
  describe(`I3: one namespace, one order (${kind.name})`, () => {
    test('concurrent reads, writes, updates, deletes and batches have one order that fits what every caller saw', async () => {
      const settings = fuzzSettings(numRuns)
      for (let run = 0; run < settings.numRuns; run += 1) await runHistory(kind, settings.seed + run)
    })
  })
}

async function runHistory(kind: StoreKind, seed: number): Promise<void> {
  const state = await kind.create()
  const store = await state.open({ limits: { cacheBytesMax: 200, groupOperationsMax: 7 } })
  const history = new History()
  try {
    const { namespace } = await store.init()
    const agents = Array.from({ length: 8 }, async (_, index) => {
      const session = await store.resume(namespace, { writer: { writerId: `agent-${index}` } })
      await act(session, history, randomFrom(seed * 100 + index), 60)
    })
    await Promise.all(agents)
    checkLinearizable(history.operations)
  } catch (error) {
    throw new Error(`AGENT_STATE_SEED=${seed}`, { cause: error })
  } finally {
    await store.close()
    await state.dispose()
  }
}

/** One agent: one call after the other, and sometimes several at once. */
async function act(session: Session, history: History, random: () => number, rounds: number): Promise<void> {
  const pick = (): string => KEYS[Math.floor(random() * KEYS.length)]!
  for (let round = 0; round < rounds; round += 1) {
    const chosen = random()
    const key = pick()
    if (chosen < 0.35) await history.read(key, async () => (await session.entry(key))?.revision ?? null)
    else if (chosen < 0.4) await history.read(key, async () => (await session.stat(key))?.revision ?? null)
    else if (chosen < 0.6)
      await history.write([key], async () => (await session.write(key, `${round}`)).revision)
    else if (chosen < 0.7) await history.delete([key], async () => (await session.delete(key)).revision)
    else if (chosen < 0.8)
      await history.write(
        [key],
        async () => (await session.update(key, (value) => `${value}u`.slice(-50)))!.revision,
      )
    else if (chosen < 0.9) {
      const keys = [...new Set([key, pick(), pick()])]
      await history.write(
        keys,
        async () => (await session.batch(keys.map((one) => ({ write: one, value: '' }))))[0]!.revision,
      )
    } else if (chosen < 0.95) {
      await Promise.all(
        [pick(), pick()].map((one) =>
          history.read(one, async () => (await session.entry(one))?.revision ?? null),
        ),
      )
    } else {
      await collect(session.entries())
      await nextTurn()
    }
  }
}
