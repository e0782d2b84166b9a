/**
 * Whether one order of all calls of a namespace explains every answer, such that no caller could tell it from what
 * happened: no call that began after another one had ended comes before it.
 *
 * Changes are ordered by their revisions. All else takes effect as early as it may: after everything that had ended when it
 * began, at the first state that fits its answer, before any change that began after it had ended. Nothing is lost by that:
 * who comes earlier forbids nobody anything.
 *
 * Of a call that nobody heard of again (its process was killed, its thread ended) it is open whether it took effect, and
 * when, until the next opening. Mostly an event, or somebody who read its value, says so. Where only such a call can explain
 * what others were told, it is given a place, and everything is looked at again.
 */
import type { Conflict } from '../../../src/api.js'
import type { Answer, Call, NamespaceHistory, SeenEvent } from './history.js'
import { misfit, shownRevision, type Situation } from './specification.js'
import { changesOf, Timeline, type ChangeAt } from './timeline.js'

export interface Explained {
  readonly calls: number
  readonly changes: number
  /** Calls that were never answered and took effect. */
  readonly unanswered: number
}

/** So many ways are tried to explain a history by calls that were not answered. */
const ATTEMPTS_MAX = 1000

/** A history that has no explanation, as far as it was looked at. */
class Unexplained extends Error {
  /** What it is about. */
  readonly keys: ReadonlySet<string>
  /** What comes after this revision can't explain it. */
  readonly to: number
  /** When the call began that is not explained; Infinity: all calls are, but not what subscribers were told. */
  readonly start: number
  /** How much of it is not explained. */
  readonly wrong: number

  constructor(message: string, about: Pick<Unexplained, 'keys' | 'to' | 'start' | 'wrong'>) {
    super(message)
    this.keys = about.keys
    this.to = about.to
    this.start = about.start
    this.wrong = about.wrong
  }

  /** Whether more is explained than before. */
  isProgressSince(before: Unexplained): boolean {
    return this.start > before.start || (this.start === before.start && this.wrong < before.wrong)
  }
}

/** Throws if there is no such order. */
export function checkHistory(history: NamespaceHistory): Explained {
  const revisions = knownRevisions(history)
  const open = history.calls.filter(
    (call) => call.answer === null && !revisions.has(call) && changesOf(call.asked).length > 0,
  )
  let attemptsLeft = ATTEMPTS_MAX
  const solve = (
    given: ReadonlyMap<Call, number>,
    left: readonly Call[],
    before: Unexplained | null,
  ): ReadonlyMap<Call, number> => {
    const error = failureOf(history, given)
    if (error === null) return given
    if (before !== null && !error.isProgressSince(before)) throw error
    for (const [call, revision] of waysOut(error, given, left)) {
      if (attemptsLeft-- <= 0) break
      const others = left.filter((other) => other !== call)
      try {
        return solve(new Map([...given, [call, revision]]), others, error)
      } catch (failure) {
        // This one does not explain it.
        if (!(failure instanceof Unexplained)) throw failure
      }
    }
    throw error
  }
  const found = solve(revisions, open, null)
  const unanswered = [...found.keys()].filter(({ answer }) => answer === null).length
  return { calls: history.calls.length, changes: found.size, unanswered }
}

function failureOf(history: NamespaceHistory, revisions: ReadonlyMap<Call, number>): Unexplained | null {
  try {
    attempt(history, revisions)
    return null
  } catch (error) {
    if (error instanceof Unexplained) return error
    throw error
  }
}

/** What somebody was told: the caller, a subscriber, a reader, or whoever was in conflict with it. */
function knownRevisions({ calls, events }: NamespaceHistory): Map<Call, number> {
  const revisions = new Map<Call, number>()
  const unanswered = new Map<string, Call>()
  for (const call of calls) {
    const revision = call.answer === null ? null : revisionOf(call.answer)
    if (revision !== null) revisions.set(call, revision)
    if (call.answer === null) unanswered.set(call.id, call)
  }
  const told = new Set(revisions.values())
  const learn = (call: Call | undefined, revision: number): void => {
    if (call === undefined || revisions.has(call)) return
    revisions.set(call, revision)
    told.add(revision)
  }
  for (const { answer } of calls) {
    if (answer?.kind === 'found' && answer.value !== undefined)
      learn(unanswered.get(answer.value), answer.revision!)
    for (const { previous, previousRevision } of conflictsIn(answer)) {
      const ofWriter = [...unanswered.values()].filter(
        ({ session }) => session.writer?.workerId === previous?.workerId,
      )
      if (previousRevision !== null && !told.has(previousRevision) && ofWriter.length === 1)
        learn(ofWriter[0], previousRevision)
    }
  }
  const open = [...unanswered.values()].filter((call) => !revisions.has(call))
  for (const event of [...events.values()].flat()) {
    if (told.has(event.revision)) continue
    const candidates = open.filter((call) => isBy(call, event))
    if (candidates.length === 1) learn(candidates[0], event.revision)
  }
  return revisions
}

function revisionOf(answer: Answer): number | null {
  if (answer.kind !== 'changed') return null
  const all = new Set(answer.results.map(({ revision }) => revision).filter((revision) => revision !== null))
  if (all.size > 1) throw new Error(`one batch has several revisions: ${[...all].join(', ')}`)
  return [...all][0] ?? null
}

function conflictsIn(answer: Answer | null): Conflict[] {
  if (answer?.kind === 'conflict') return [answer.conflict]
  if (answer?.kind !== 'changed') return []
  return answer.results.map(({ conflict }) => conflict).filter((conflict) => conflict !== null)
}

/** No two agents have the same `workerId`, and each makes one call at a time. */
function isBy({ session, era, asked }: Call, event: SeenEvent): boolean {
  return (
    era === event.era &&
    session.writer?.workerId === event.writer?.workerId &&
    changesOf(asked).some(
      ({ key, value }) => key === event.key && (value === null) === (event.kind === 'delete'),
    )
  )
}

/**
 * Places for calls that nobody heard of, which may explain what others were told. The latest place comes first: what was
 * under way at the end mostly happened at the end.
 */
function* waysOut(
  { keys, to }: Unexplained,
  given: ReadonlyMap<Call, number>,
  open: readonly Call[],
): Generator<readonly [Call, number]> {
  const touching = open.filter(({ asked }) => changesOf(asked).some(({ key }) => keys.has(key)))
  for (const call of touching) {
    const before = [...given].filter(([other]) => other.end < call.start).map(([, revision]) => revision)
    const from = Math.max(0, ...before)
    const taken = [...given.values()].filter((revision) => revision > from && revision <= to)
    const borders = [from, ...taken.sort((one, two) => one - two), to + 1]
    // Between the same two changes, one place is as good as another; the middle leaves room for others.
    for (let index = borders.length - 1; index > 0; index--) {
      const [low, high] = [borders[index - 1]!, borders[index]!]
      if (high - low > 1) yield [call, Math.floor((low + high) / 2)]
    }
  }
}

/** Looks for an order, given the revisions of all calls that changed anything. */
function attempt({ calls, events }: NamespaceHistory, revisions: ReadonlyMap<Call, number>): void {
  const timeline = new Timeline(revisions)
  const endOf = ends(calls)
  const placed = calls.filter((call) => call.answer !== null || revisions.has(call))
  const byEnd = [...placed].sort((one, two) => endOf(one) - endOf(two))
  const seen = new Map<string, Map<string, number | null>>()
  const effects = new Map<Call, number>()
  let ended = 0
  /** No call that begins now takes effect on an earlier state. */
  let floor = 0
  for (const call of [...placed].sort((one, two) => one.start - two.start)) {
    for (; byEnd[ended] !== undefined && endOf(byEnd[ended]!) < call.start; ended++) {
      floor = Math.max(floor, effects.get(byEnd[ended]!)!)
    }
    const memory = seen.get(call.session.name) ?? new Map<string, number | null>()
    seen.set(call.session.name, memory)
    const revision = revisions.get(call)
    const effect =
      revision === undefined
        ? placeOf(call, floor, timeline, memory)
        : checkChange(call, revision, floor, timeline, memory)
    effects.set(call, effect)
    remember(memory, call, timeline, effect)
  }
  for (const [subscriber, told] of events) checkEvents(subscriber, told, timeline)
}

/** What nobody heard the end of is over when the next opening begins. */
function ends(calls: readonly Call[]): (call: Call) => number {
  const begins = new Map<number, number>()
  for (const { era, start } of calls) begins.set(era, Math.min(begins.get(era) ?? Infinity, start))
  const over = new Map(
    [...begins.keys()].map((era) => {
      const later = [...begins].filter(([other]) => other > era).map(([, start]) => start)
      return [era, Math.min(...later) - 0.5]
    }),
  )
  return ({ end, era }) => (end === Infinity ? over.get(era)! : end)
}

function checkChange(
  call: Call,
  revision: number,
  floor: number,
  timeline: Timeline,
  memory: ReadonlyMap<string, number | null>,
): number {
  const about = { keys: new Set(keysOf(call)), start: call.start, wrong: 1 }
  if (revision <= floor) {
    throw new Unexplained(
      `${describe(call)} has revision ${revision}, but what had ended before it began has ${floor}`,
      { ...about, to: floor },
    )
  }
  const reason = misfit(call, situationAt(timeline, revision - 1, memory), revision)
  if (reason === null) return revision
  const message = `${describe(call)}, at revision ${revision}: ${reason}`
  throw new Unexplained(message, { ...about, to: revision - 1 })
}

/** The first state that fits, of those that the call can have met. */
function placeOf(
  call: Call,
  floor: number,
  timeline: Timeline,
  memory: ReadonlyMap<string, number | null>,
): number {
  const reasons: string[] = []
  let last = floor
  for (const revision of statesFrom(floor, timeline)) {
    const change: ChangeAt | undefined = timeline.changes[timeline.indexAt(revision)]
    if (revision > floor && change!.call.start > call.end) break
    last = revision
    const reason = misfit(call, situationAt(timeline, revision, memory), null)
    if (reason === null) return revision
    reasons.push(`at ${revision}: ${reason}`)
  }
  const message = `${describe(call)} fits no state that it can have met:\n  ${reasons.slice(0, 6).join('\n  ')}`
  const next = timeline.changes[timeline.indexAt(last) + 1]?.revision ?? last + 2
  const keys = new Set(call.asked.kind === 'list' ? misplaced(call, last, timeline) : keysOf(call))
  throw new Unexplained(message, { keys, to: Math.max(last, next - 1), start: call.start, wrong: keys.size })
}

function* statesFrom(floor: number, timeline: Timeline): Generator<number> {
  yield floor
  for (let index = timeline.indexAt(floor) + 1; index < timeline.changes.length; index++) {
    yield timeline.changes[index]!.revision
  }
}

function situationAt(
  timeline: Timeline,
  revision: number,
  memory: ReadonlyMap<string, number | null>,
): Situation {
  return {
    version: (key) => timeline.at(key, revision),
    keys: (prefix) =>
      [...timeline.keys]
        .filter((key) => key.startsWith(prefix) && timeline.at(key, revision).value !== null)
        .sort(),
    seen: (key) => memory.get(key),
  }
}

/** What the session has seen by the call. */
function remember(
  memory: Map<string, number | null>,
  { session, asked, answer }: Call,
  timeline: Timeline,
  effect: number,
): void {
  if (session.writer === null || answer === null) return
  if (asked.kind === 'update' && answer.kind !== 'mismatch') {
    memory.set(asked.key, shownRevision(timeline.at(asked.key, effect)))
  }
  if (asked.kind === 'entry' && answer.kind === 'found') memory.set(asked.key, answer.revision)
  if (asked.kind !== 'change' || answer.kind !== 'changed') return
  asked.changes.forEach(({ key, value }, index) => {
    memory.set(key, value === null ? null : (answer.results[index]?.revision ?? null))
  })
}

/** What a subscriber is told is what happened, in that order, with nothing left out from the first event to the last. */
function checkEvents(subscriber: string, told: readonly SeenEvent[], timeline: Timeline): void {
  const [first, last] = [told[0], told.at(-1)]
  if (first === undefined || last === undefined) return
  const happened = timeline.changes
    .slice(timeline.indexAt(first.revision - 1) + 1, timeline.indexAt(last.revision) + 1)
    .flatMap(({ call, revision, effects }) =>
      effects.map(({ key, kind }) =>
        describeEvent({ era: call.era, key, kind, revision, writer: call.session.writer }),
      ),
    )
  const events = told.map(describeEvent)
  // The first and the last change may have been told in part.
  const start = happened.indexOf(events[0]!)
  const expected = start === -1 ? happened : happened.slice(start, start + events.length)
  const wrong = events.findIndex((event, index) => event !== expected[index])
  if (wrong === -1) return
  throw new Unexplained(
    `${subscriber} was told of ${events[wrong]} where ${expected[wrong] ?? 'nothing'} had happened`,
    {
      keys: new Set([told[wrong]!.key]),
      to: last.revision,
      start: Infinity,
      wrong: events.length - wrong,
    },
  )
}

function describeEvent({ era, key, kind, revision, writer }: SeenEvent): string {
  return `${kind} of ${key} at revision ${revision} by ${writer?.workerId ?? 'nobody'} (opening ${era})`
}

function keysOf({ asked }: Call): string[] {
  if (asked.kind === 'list') return []
  return asked.kind === 'change' ? asked.changes.map(({ key }) => key) : [asked.key]
}

/** Keys that a listing shows and a state does not, or the other way round. */
function misplaced({ asked, answer }: Call, revision: number, timeline: Timeline): string[] {
  const shown = new Set(answer?.kind === 'listed' ? answer.keys : [])
  return [...new Set([...shown, ...timeline.keys])].filter((key) => {
    const isListed = asked.kind === 'list' && key.startsWith(asked.prefix)
    return isListed && shown.has(key) !== (timeline.at(key, revision).value !== null)
  })
}

function describe({ id, asked, era, start, end }: Call): string {
  return `${id} (opening ${era}, from ${start} to ${end}) ${JSON.stringify(asked)}`
}
