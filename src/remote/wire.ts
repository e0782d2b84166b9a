/**
 * What travels between a connection and its host. A batch is one list of plain values in a row, in which each entry begins
 * with its kind, and the bytes of values, packed into one buffer in the entries' order; a value of `LARGE_BYTES` or more
 * has a buffer of its own. Objects are avoided where there are many: cloning their names costs more than their content.
 *
 * Client to host, method `calls`. Those with an id are answered once; ids grow.
 *   HELLO id · CREATE id ns · REMOVE id ns · EXISTS id ns · FLUSH id · READ id ns key · HEAD id ns key
 *   WRITE id ns terms key size ifRevision seen (and the value's bytes): one write asked for by itself
 *   CHANGE id ns terms single count, then per operation: isWrite key size ifRevision seen (and the value's bytes)
 *   LIST id ns prefix after limit reverse · NAMESPACES id prefix after limit reverse
 *   UPDATE id ns key terms token parent: asks for a turn; answered as READ when it has come
 *   WATCH id ns prefix afterRevision initial: answered by WATCH_ITEM until WATCH_END
 *   METRICS id · CONFLICTS id · CLOSE id flush
 * and those without an answer
 *   TERMS slot writer(4) policy detect durability repair: what WRITE and CHANGE refer to from now on
 *   NAMESPACE slot name: what the number in the place of a namespace (ns) stands for from now on; the name itself may stand
 *     there too
 *   ABORT id · TURN_OVER id · WATCH_TAKEN id count · WATCH_STOP id
 *   EVENTS type namespace isOn: without a namespace, all · PORT token namespaces readOnly writer(4) (and the port)
 *
 * Host to client, method `deliver`
 *   FAILED id error · WITHDRAWN id · YES id · NO id · DONE id · MISSING id · NAMES id parts
 *   WRITTEN id revision: one write without conflict
 *   OVERWRITTEN id revision rule current previous previousRevision seenRevision: one write with a conflict, as in CHANGED
 *   CHANGED id, then per operation: deleted (null for a write) revision hasConflict, and with a conflict
 *     rule current previous previousRevision seenRevision; namespace and key are known, identities as in writer-table.ts
 *   FOUND id revision size updatedAtMs external writer (and the value's bytes) · HEAD_FOUND, without them
 *   WATCH_ITEM id item · WATCH_END id error · PROGRESS id done total
 *   PLAIN id value: metrics, conflicts
 *   EVENT type event · LAGGED type total [namespace, count]… · STORE_FAILED error · CLOSED flushed
 */
import type { ConflictRule } from '../api.js'
import type { Limits } from '../limits.js'

export const PROTOCOL = 5

/**
 * The two methods that comlink carries. A host waits for what was taken before it sends more, so a client says so soon; no
 * client waits for a host to say it.
 */
export const HOST_CHANNEL = { exposes: 'calls', calls: 'deliver', answersWithinMs: 5 } as const
export const CLIENT_CHANNEL = { exposes: 'deliver', calls: 'calls', answersWithinMs: 0 } as const

/** Values from this size on are moved in a buffer of their own; smaller ones are copied. */
export const LARGE_BYTES = 64 * 1024

/** Writers and policies that a connection can refer to at once. */
export const TERMS_SLOTS = 1024

/** Namespaces that a connection can refer to by number at once. */
export const NAMESPACE_SLOTS = 1024

/** Identities in answers that are known by number at once. */
export const WRITER_SLOTS = 1024

/** Events of a type, or items of a watch, that are sent ahead of being taken. */
export const EVENT_WINDOW = 256

/** More namespaces than this are not told apart in a subscription: all are sent. */
export const FILTER_NAMESPACES_MAX = 1000

/** A rule travels as its place. */
export const RULES: readonly ConflictRule[] = ['lost-update', 'writer-change']

export const CALL = {
  HELLO: 0,
  CREATE: 1,
  REMOVE: 2,
  EXISTS: 3,
  FLUSH: 4,
  READ: 5,
  HEAD: 6,
  CHANGE: 7,
  LIST: 8,
  NAMESPACES: 9,
  UPDATE: 10,
  WATCH: 11,
  CLOSE: 12,
  TERMS: 13,
  ABORT: 14,
  TURN_OVER: 15,
  WATCH_TAKEN: 16,
  WATCH_STOP: 17,
  EVENTS: 18,
  PORT: 19,
  METRICS: 20,
  CONFLICTS: 21,
  WRITE: 22,
  NAMESPACE: 23,
} as const

export const ANSWER = {
  FAILED: 0,
  WITHDRAWN: 1,
  YES: 2,
  NO: 3,
  DONE: 4,
  MISSING: 5,
  NAMES: 6,
  WRITTEN: 7,
  CHANGED: 8,
  FOUND: 9,
  HEAD_FOUND: 10,
  WATCH_ITEM: 11,
  WATCH_END: 12,
  PROGRESS: 13,
  EVENT: 14,
  LAGGED: 15,
  STORE_FAILED: 16,
  CLOSED: 17,
  PLAIN: 18,
  OVERWRITTEN: 19,
} as const

/** The first message in every port of a store, there before anybody can ask: it tells a store's port from another. */
export interface Greeting {
  readonly agentState: typeof PROTOCOL
  /** Which store it is, as far as this process is concerned. */
  readonly store: string
  /** Names this connection to the host; nobody else knows it. */
  readonly token: string
  readonly root: string
  readonly limits: Limits
  readonly state: 'open' | 'failed'
  readonly namespaces: readonly string[] | null
  readonly readOnly: boolean
  readonly writer: Readonly<Record<string, string | undefined>> | null
  /** Closing this connection closes the store. */
  readonly isOwner: boolean
}
