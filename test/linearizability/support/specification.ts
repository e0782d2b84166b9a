/**
 * The sequential specification: what a call must be answered if it takes effect on a given state. It is written from the
 * documentation: conditions before conflicts, both rules of conflicts, who is named as the previous writer.
 */
import type { Conflict, Writer } from '../../../src/api.js'
import type { Answer, AskedChange, Call, Result } from './history.js'
import type { Version } from './timeline.js'

/** A state of the namespace, and what the calling session had seen by then. */
export interface Situation {
  version(key: string): Version
  /** Sorted. */
  keys(prefix: string): string[]
  /** Undefined: never. */
  seen(key: string): number | null | undefined
}

/**
 * Null if the call may be answered so (an answer of null: whether it may have taken effect), otherwise why not.
 * `revision`: the one that its changes have; null: it changed nothing.
 */
export function misfit(call: Call, situation: Situation, revision: number | null): string | null {
  const { asked, answer } = call
  switch (asked.kind) {
    case 'entry':
    case 'stat':
      return differs(answer, foundAnswer(situation.version(asked.key), asked.kind))
    case 'list':
      return differs(answer, { kind: 'listed', keys: situation.keys(asked.prefix) })
    case 'change':
      return misfitOfChange(call, asked, situation, revision)
    case 'update': {
      const { key, value, policy } = asked
      const before = situation.version(key)
      const changes = value === undefined ? [] : [{ key, value }]
      const own: Situation = { ...situation, seen: () => shownRevision(before) }
      if (answer?.kind === 'changed' && answer.before !== before.value) {
        return `its function was given ${answer.before}, but the value was ${before.value}`
      }
      return misfitOfChange(call, { changes, policy }, own, revision)
    }
  }
}

function misfitOfChange(
  { session, era, answer }: Call,
  { changes, policy }: { readonly changes: readonly AskedChange[]; readonly policy: string },
  situation: Situation,
  revision: number | null,
): string | null {
  const failing = changes.filter(
    ({ key, ifRevision }) => ifRevision !== undefined && ifRevision !== shownRevision(situation.version(key)),
  )
  const conflicts = changes.map((change) => conflictOf(session, era, change, situation))
  if (failing.length > 0) return misfitOfMismatch(answer, changes, failing, situation)
  if (policy === 'error' && conflicts.some((conflict) => conflict !== null)) {
    if (answer?.kind !== 'conflict') return 'it had to be refused as a conflict'
    return differs(answer, { ...answer, conflict: conflicts[answer.index] as Conflict })
  }
  const results = changes.map((change, index) => {
    const isNothing = change.value === null && situation.version(change.key).value === null
    return { key: change.key, revision: isNothing ? null : revision, conflict: conflicts[index] ?? null }
  })
  const changesAnything = results.some((result) => result.revision !== null)
  if (changesAnything !== (revision !== null))
    return `it ${revision === null ? 'changes something' : 'changes nothing'}`
  if (answer === null) return null
  if (answer.kind !== 'changed') return `it had to be carried out, but was answered ${JSON.stringify(answer)}`
  return differs({ results: answer.results.map(plain) }, { results: results.map(plain) })
}

function misfitOfMismatch(
  answer: Answer | null,
  changes: readonly AskedChange[],
  failing: readonly AskedChange[],
  situation: Situation,
): string | null {
  if (answer?.kind !== 'mismatch') return `its condition on '${failing[0]!.key}' did not hold`
  const change = changes[answer.index]
  if (change === undefined || !failing.includes(change)) return 'the condition that was refused did hold'
  const actual = shownRevision(situation.version(change.key))
  return actual === answer.actualRevision ? null : `'${change.key}' was at revision ${actual}`
}

/** Who overwrites whom. */
function conflictOf(
  { namespace, writer, detect }: Call['session'],
  era: number,
  { key, value }: AskedChange,
  situation: Situation,
): Conflict | null {
  const version = situation.version(key)
  const previousRevision = shownRevision(version)
  if (writer === null || (value === null && previousRevision === null)) return null
  const seen = situation.seen(key)
  const facts = { namespace, key, current: writer, previousRevision, seenRevision: seen ?? null }
  if (detect === 'lost-update' && seen !== undefined) {
    // Who deleted a key is not stored.
    const changedBy = previousRevision === null && version.era !== era ? null : version.changedBy
    if (seen === previousRevision || isSame(changedBy, writer)) return null
    return { ...facts, rule: 'lost-update', previous: changedBy }
  }
  const { identity } = version
  if (identity === null || isSame(identity, writer)) return null
  return { ...facts, rule: 'writer-change', previous: identity }
}

function isSame(one: Writer | null, two: Writer): boolean {
  return one !== null && one.writerId === two.writerId
}

/** Null: the key is missing. */
export function shownRevision({ value, revision }: Version): number | null {
  return value === null ? null : revision
}

function foundAnswer(version: Version, kind: 'entry' | 'stat'): Answer {
  const revision = shownRevision(version)
  if (kind === 'stat') return { kind: 'found', revision, writer: version.identity }
  if (version.value === null) return { kind: 'found', revision: null }
  return { kind: 'found', revision, value: version.value, writer: version.identity }
}

function plain({ key, revision, conflict }: Result): Result {
  return { key, revision, conflict }
}

function differs(answer: object | null, expected: object): string | null {
  const [told, right] = [normal(answer), normal(expected)]
  return told === right ? null : `it was answered ${told}, where ${right} would be right`
}

/** With the names of all fields in one order, so that the texts are the same where the things are. */
function normal(thing: unknown): string {
  return JSON.stringify(thing, (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([one], [two]) => (one < two ? -1 : 1)))
  })
}
