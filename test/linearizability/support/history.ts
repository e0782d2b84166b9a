/**
 * What several agents asked of one namespace and what they were told, call by call, as they noted it themselves. The notes
 * are lines that outlive a killed process; `readNotes` makes a history of them.
 */
import type { Conflict, ConflictPolicy, ConflictRule, Writer } from '../../../src/api.js'

/** `value: null` deletes. */
export interface AskedChange {
  readonly key: string
  readonly value: string | null
  readonly ifRevision?: number | null
}

export type Asked =
  /** `stat` shows no value and does not count as seeing. */
  | { readonly kind: 'entry' | 'stat'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string }
  | { readonly kind: 'change'; readonly changes: readonly AskedChange[]; readonly policy: ConflictPolicy }
  /** `value`: what its function returns; undefined: it changes nothing. */
  | {
      readonly kind: 'update'
      readonly key: string
      readonly value?: string | null
      readonly policy: ConflictPolicy
    }

export interface Result {
  readonly key: string
  /** Null: a deletion of what was missing. */
  readonly revision: number | null
  readonly conflict: Conflict | null
}

export type Answer =
  | {
      readonly kind: 'found'
      readonly revision: number | null
      readonly value?: string
      readonly writer?: Writer | null
    }
  | { readonly kind: 'listed'; readonly keys: readonly string[] }
  /** `before`: of an update, the text that its function was given last. */
  | { readonly kind: 'changed'; readonly results: readonly Result[]; readonly before?: string | null }
  | { readonly kind: 'mismatch'; readonly actualRevision: number | null; readonly index: number }
  | { readonly kind: 'conflict'; readonly conflict: Conflict; readonly index: number }

export interface Session {
  readonly name: string
  readonly namespace: string
  readonly writer: Writer | null
  readonly detect: ConflictRule
}

export interface Call {
  /** Also the text of every value that it writes. */
  readonly id: string
  readonly session: Session
  /** Openings of the store are numbered; nothing is remembered from one to the next but what is stored. */
  readonly era: number
  readonly start: number
  /** Infinity: nobody was told what became of it; if anything did, then before the next opening. */
  readonly end: number
  readonly asked: Asked
  readonly answer: Answer | null
}

export interface SeenEvent {
  readonly era: number
  readonly key: string
  readonly kind: 'write' | 'delete'
  readonly revision: number
  readonly writer: Writer | null
}

export interface NamespaceHistory {
  readonly calls: readonly Call[]
  /** What each subscriber was told of, in its order. */
  readonly events: ReadonlyMap<string, readonly SeenEvent[]>
}

export type Note =
  | ({ readonly note: 'session' } & Session)
  | {
      readonly note: 'asked'
      readonly call: string
      readonly session: string
      readonly era: number
      readonly at: number
      readonly asked: Asked
    }
  | { readonly note: 'answered'; readonly call: string; readonly at: number; readonly answer: Answer }
  | ({ readonly note: 'event'; readonly subscriber: string; readonly namespace: string } & SeenEvent)
  | { readonly note: 'unexpected'; readonly message: string }

/** By namespace. Throws if an agent was told what no agent may be told. */
export function readNotes(notes: readonly Note[]): Map<string, NamespaceHistory> {
  const sessions = new Map<string, Session>()
  const answers = new Map<string, Extract<Note, { note: 'answered' }>>()
  const histories = new Map<string, { calls: Call[]; events: Map<string, SeenEvent[]> }>()
  const historyOf = (namespace: string): { calls: Call[]; events: Map<string, SeenEvent[]> } => {
    const found = histories.get(namespace) ?? { calls: [], events: new Map<string, SeenEvent[]>() }
    histories.set(namespace, found)
    return found
  }
  for (const note of notes) {
    if (note.note === 'session') sessions.set(note.name, note)
    else if (note.note === 'answered') answers.set(note.call, note)
    else if (note.note === 'unexpected') throw new Error(note.message)
  }
  for (const note of notes) {
    if (note.note === 'asked') {
      const session = sessions.get(note.session)!
      const answered = answers.get(note.call)
      historyOf(session.namespace).calls.push({
        id: note.call,
        session,
        era: note.era,
        start: note.at,
        end: answered?.at ?? Infinity,
        asked: note.asked,
        answer: answered?.answer ?? null,
      })
    } else if (note.note === 'event') {
      const { events } = historyOf(note.namespace)
      const told = events.get(note.subscriber)
      if (told === undefined) events.set(note.subscriber, [note])
      else told.push(note)
    }
  }
  return histories
}

/** A line that the kill cut off is none. */
export function parseNotes(text: string): Note[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Note)
}
