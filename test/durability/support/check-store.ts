/** What an opened store shows must follow from its history: I1 (nothing lost), I3, I4 (nothing in part). */
import type { Entry, Store } from '../../../src/api.js'
import { AgentStateError } from '../../../src/errors.js'
import type { History, KeyState, NamespaceState, Unit } from './history.js'

interface Shown {
  readonly exists: boolean
  readonly entries: ReadonlyMap<string, Entry>
}

/** Throws if a namespace shows what it can't hold. Afterwards the history says what was found. */
export async function checkStore(store: Store, history: History): Promise<void> {
  const names = new Set(history.namespaces)
  for await (const name of store.namespaces()) {
    if (!names.has(name)) throw new Error(`there is a namespace '${name}' that nobody created`)
  }
  for (const name of names) {
    const shown = await showNamespace(store, name, history)
    history.settle(name, findState(name, shown, history.candidates(name)))
    for (const { revision } of shown.entries.values()) {
      if (revision > history.revisionMax) history.revisionMax = revision
    }
  }
}

/** A change made now has a revision that nobody was ever told of before. */
export async function checkNewRevisions(store: Store, history: History): Promise<void> {
  const names = [...history.state()].filter(([, { exists }]) => exists).map(([name]) => name)
  for (const namespace of names) {
    const session = await store.resume(namespace)
    const value = `written to see its revision, after ${history.revisionMax}`
    const change = {
      kind: 'change',
      namespace,
      writer: null,
      durability: 'journal',
      changes: [{ key: 'revision', value }],
    } as const
    const unit = history.ask(change)
    const { revision } = await session.write('revision', value)
    if (revision <= history.revisionMax) {
      throw new Error(`revision ${revision} is given out again: ${history.revisionMax} was known before`)
    }
    history.acknowledged(unit, revision)
  }
}

async function showNamespace(store: Store, namespace: string, history: History): Promise<Shown> {
  const entries = new Map<string, Entry>()
  let session
  try {
    session = await store.resume(namespace)
  } catch (error) {
    if (!AgentStateError.is(error, 'NAMESPACE_NOT_FOUND')) throw error
    return { exists: false, entries }
  }
  const listed = await session.list()
  const asked = history.candidates(namespace).flatMap(({ keys }) => [...keys.keys()])
  for (const key of new Set([...listed, ...asked])) {
    const entry = await session.entry(key)
    if ((entry === null) === listed.includes(key)) {
      throw new Error(`list() and entry() disagree on ${namespace}/${key}`)
    }
    if (entry !== null) entries.set(key, entry)
  }
  return { exists: true, entries }
}

/** The last of the states that fit: of two that show the same, the one with more of what was asked. */
function findState(namespace: string, shown: Shown, candidates: readonly NamespaceState[]): NamespaceState {
  const reasons: string[] = []
  for (const candidate of candidates.toReversed()) {
    const reason = difference(shown, candidate)
    if (reason === null) {
      for (const [key, { unit }] of candidate.keys) unit.revision ??= shown.entries.get(key)!.revision
      return candidate
    }
    reasons.unshift(`after ${candidate.last?.toString() ?? 'nothing'}: ${reason}`)
  }
  throw new Error(
    `namespace '${namespace}' shows what it can't hold. Allowed would be:\n  ${reasons.join('\n  ')}`,
  )
}

/** Null if the namespace shows exactly this. */
function difference(shown: Shown, state: NamespaceState): string | null {
  if (shown.exists !== state.exists) return shown.exists ? 'it is there' : 'it is missing'
  const unexpected = [...shown.entries.keys()].find((key) => !state.keys.has(key))
  if (unexpected !== undefined) return `${unexpected} is there`
  const revisions = new Map<Unit, number>()
  for (const [key, expected] of state.keys) {
    const entry = shown.entries.get(key)
    const reason = entry === undefined ? 'is missing' : entryDifference(entry, expected, revisions)
    if (reason !== null) return `${key} ${reason}`
  }
  return null
}

function entryDifference(
  entry: Entry,
  { value, writer, unit }: KeyState,
  revisions: Map<Unit, number>,
): string | null {
  const text = Buffer.from(entry.value).toString()
  if (text !== value)
    return `has ${text.length} bytes, ${JSON.stringify(text.slice(0, 40))}, instead of ${unit.toString()}`
  const revision = unit.revision ?? revisions.get(unit) ?? entry.revision
  revisions.set(unit, revision)
  if (entry.revision !== revision) return `has revision ${entry.revision} instead of ${revision}`
  const shownWriter = entry.writer?.writerId ?? null
  if (shownWriter !== writer) return `was written by ${shownWriter} instead of ${writer}`
  if (entry.external) return 'is said to be changed by something else than the store'
  if (entry.size !== entry.value.length) return `is said to have ${entry.size} bytes`
  return null
}
