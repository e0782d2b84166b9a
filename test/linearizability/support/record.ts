/** Several agents at once on one store in this process: their notes, as a history. */
import { record } from '../../../src/contract/observe.js'
import type { StoreKind } from '../../helpers/stores.js'
import { agent } from './agent.mjs'
import { generator } from './generator.mjs'
import { readNotes, type NamespaceHistory, type Note } from './history.js'

const NAMESPACE = 'shared'

export interface RecordSettings {
  readonly seed: number
  readonly agents: number
  /** Calls of each agent in each opening. */
  readonly rounds: number
  readonly openings: number
}

export async function recordHistory(kind: StoreKind, settings: RecordSettings): Promise<NamespaceHistory> {
  const state = await kind.create()
  const notes: Note[] = []
  let moment = 0
  const context = { note: (note: Note) => void notes.push(note), now: () => moment++ }
  try {
    for (let era = 0; era < settings.openings; era++) {
      await recordOpening(state, { ...settings, era }, context)
    }
  } finally {
    await state.dispose()
  }
  return readNotes(notes).get(NAMESPACE)!
}

async function recordOpening(
  state: Awaited<ReturnType<StoreKind['create']>>,
  { seed, agents, rounds, era }: RecordSettings & { readonly era: number },
  context: { readonly note: (note: Note) => void; readonly now: () => number },
): Promise<void> {
  const store = await state.open({ limits: { cacheBytesMax: 200, groupOperationsMax: 7 } })
  try {
    const base = await store.init(NAMESPACE)
    const events = record(store.events, 'change', { namespace: NAMESPACE })
    const agentCalled = (name: string, number: number, isAnonymous = false): ReturnType<typeof agent> => {
      const writer = isAnonymous ? {} : { writerId: `agent-${number % 3}`, workerId: name }
      const detect = number % 2 === 0 ? ('lost-update' as const) : ('writer-change' as const)
      const random = generator(seed * 100 + era * 20 + number)
      return agent({ name, era, session: base.with({ writer }), detect, random, ...context })
    }
    await agentCalled(`look-${era}`, agents, true).lookAround()
    const work = Array.from({ length: agents }, async (_, number) => {
      const one = agentCalled(`agent-${era}-${number}`, number, number === 0)
      for (let round = 0; round < rounds; round++) await one.act()
    })
    await Promise.all(work)
    await agentCalled(`last-${era}`, agents).mark()
    for (const { key, kind, revision, writer } of await events.until((change) => change.key === 'marker')) {
      const subscriber = `subscriber ${era}`
      context.note({ note: 'event', subscriber, namespace: NAMESPACE, era, key, kind, revision, writer })
    }
    events.stop()
  } finally {
    await store.close()
  }
}
