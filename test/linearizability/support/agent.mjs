/**
 * An agent that makes one call after the other on a session, and notes each before and after it: the same in the test's own
 * process, in the main thread of another one, and in its worker threads.
 */
import { AgentStateError } from 'agent-state'

/**
 * @typedef {import('./history.js').Note} Note
 * @typedef {import('./history.js').Asked} Asked
 * @typedef {import('./history.js').Answer} Answer
 * @typedef {import('./history.js').AskedChange} AskedChange
 * @typedef {import('../../../src/api.js').Session} Session
 * @typedef {object} AgentSettings
 * @property {string} name unlike any other agent's, in any opening
 * @property {number} era
 * @property {Session} session
 * @property {import('../../../src/api.js').ConflictRule} detect
 * @property {() => number} random
 * @property {(note: Note) => void} note
 * @property {() => number} now a clock that all agents share
 */

export const KEYS = ['a', 'b', 'c', 'folder/d', 'folder/e', 'folder/f']

/** @param {AgentSettings} settings */
export function agent(settings) {
  const { name, session, detect, random, note } = settings
  let calls = 0
  /** @type {Map<string, number | null>} what it knows of the keys, for conditions */
  const known = new Map()
  note({ note: 'session', name, namespace: session.namespace, writer: session.writer, detect })

  const pick = (items) => items[Math.floor(random() * items.length)]
  const newValue = () => `${name}:${calls}`

  /** @param {Asked} asked @param {() => Promise<Answer>} act */
  async function call(asked, act) {
    const id = `${name}:${calls++}`
    note({ note: 'asked', call: id, session: name, era: settings.era, at: settings.now(), asked })
    /** @type {Answer} */
    let answer
    try {
      answer = await act()
    } catch (error) {
      const refused = refusal(error)
      if (refused === null) {
        note({ note: 'unexpected', message: `${id} ${JSON.stringify(asked)}: ${String(error)}` })
        throw error
      }
      answer = refused
    }
    note({ note: 'answered', call: id, at: settings.now(), answer })
    remember(answer, asked)
  }

  /** @param {Answer} answer @param {Asked} asked */
  function remember(answer, asked) {
    if (answer.kind === 'found' && 'key' in asked) known.set(asked.key, answer.revision)
    if (answer.kind === 'changed') for (const { key, revision } of answer.results) known.set(key, revision)
  }

  /** @param {string} key @param {'entry' | 'stat'} [kind] */
  function look(key, kind = 'entry') {
    return call({ kind, key }, async () => {
      if (kind === 'stat') {
        const stat = await session.stat(key)
        return { kind: 'found', revision: stat?.revision ?? null, writer: stat?.writer ?? null }
      }
      const entry = await session.entry(key)
      if (entry === null) return { kind: 'found', revision: null }
      const value = new TextDecoder().decode(entry.value)
      return { kind: 'found', revision: entry.revision, value, writer: entry.writer }
    })
  }

  /** @param {string} prefix */
  function list(prefix) {
    return call({ kind: 'list', prefix }, async () => ({
      kind: 'listed',
      keys: await session.list({ prefix }),
    }))
  }

  /** @param {readonly AskedChange[]} changes @param {import('../../../src/api.js').ConflictPolicy} policy */
  function change(changes, policy) {
    return call({ kind: 'change', changes, policy }, async () => ({
      kind: 'changed',
      results: (await send(session, changes, { conflictPolicy: policy, detect })).map(resultOf),
    }))
  }

  /** @param {string} key @param {string | null | undefined} value @param {import('../../../src/api.js').ConflictPolicy} policy */
  function update(key, value, policy) {
    return call({ kind: 'update', key, value, policy }, async () => {
      /** @type {string | null} */
      let before = null
      const decide = (/** @type {string | null} */ text) => {
        before = text
        return value
      }
      const result = await session.update(key, decide, { conflictPolicy: policy, detect })
      return { kind: 'changed', before, results: result === null ? [] : [resultOf(result)] }
    })
  }

  function condition(key) {
    const chosen = random()
    if (chosen < 0.6) return {}
    if (chosen < 0.75) return { ifRevision: null }
    return { ifRevision: known.get(key) ?? null }
  }

  /** One call that is drawn at random. */
  async function act() {
    const chosen = random()
    const key = pick(KEYS)
    const policy = random() < 0.25 ? 'error' : 'ignore'
    if (chosen < 0.25) return look(key)
    if (chosen < 0.29) return look(key, 'stat')
    if (chosen < 0.36) return list(random() < 0.5 ? '' : 'folder/')
    if (chosen < 0.6) return change([{ key, value: newValue(), ...condition(key) }], policy)
    if (chosen < 0.7) return change([{ key, value: null, ...condition(key) }], policy)
    if (chosen < 0.86) {
      const next = random()
      return update(key, next < 0.7 ? newValue() : next < 0.9 ? null : undefined, policy)
    }
    const keys = [...new Set([key, pick(KEYS), pick(KEYS), pick(KEYS)])]
    return change(
      keys.map((one) => ({ key: one, value: random() < 0.25 ? null : newValue(), ...condition(one) })),
      policy,
    )
  }

  return {
    act,
    /** Looks at everything. */
    async lookAround() {
      await list('')
      for (const key of KEYS) await look(key)
    },
    async mark() {
      await change([{ key: 'marker', value: newValue() }], 'ignore')
    },
  }
}

/** @param {Session} session @param {readonly AskedChange[]} changes @param {import('../../../src/api.js').WriteOptions} options */
async function send(session, changes, options) {
  const [only] = changes
  if (changes.length > 1) {
    const operations = changes.map(({ key, value, ifRevision }) =>
      value === null ? { delete: key, ifRevision } : { write: key, value, ifRevision },
    )
    return session.batch(operations, options)
  }
  const { key, value, ifRevision } = /** @type {AskedChange} */ (only)
  const terms = { ...options, ifRevision }
  return [value === null ? await session.delete(key, terms) : await session.write(key, value, terms)]
}

/** @param {import('../../../src/api.js').WriteResult | import('../../../src/api.js').DeleteResult} result */
function resultOf({ key, revision, conflict }) {
  return { key, revision, conflict }
}

/** @param {unknown} error @returns {Answer | null} */
function refusal(error) {
  if (AgentStateError.is(error, 'REVISION_MISMATCH')) {
    return { kind: 'mismatch', actualRevision: error.actualRevision, index: error.index ?? 0 }
  }
  if (AgentStateError.is(error, 'CONFLICT')) {
    return { kind: 'conflict', conflict: error.conflict, index: error.index ?? 0 }
  }
  return null
}
