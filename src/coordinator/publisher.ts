/**
 * Publisher owns what others learn of committed changes: the events, the history of the last changes and the watchers.
 * The coordinator calls it after the backend's acknowledgement and in commit order (I2), in one go a request, so that
 * everybody sees the changes of a namespace in the same order.
 */
import type { Change, Conflict, ConflictEvent, ConflictPolicy, Writer } from '../api.js'
import { warnProcess, type EventBus } from '../event-bus.js'
import { displayName } from '../writer.js'
import { History, type HistoryPlace } from './history.js'

/** A subscriber to the changes of one namespace. */
export interface ChangeSubscriber {
  changed(change: Change): void
  /** The store was closed. */
  end(): void
}

/** So many keys and pairs of writers are warned of once; then counting starts anew. */
const WARNED_MAX = 10_000

export class Publisher {
  readonly events: EventBus
  /** Conflicts published so far. */
  readonly conflicts: Record<ConflictPolicy, number> = { ignore: 0, warn: 0, error: 0 }
  readonly #log: { add(event: ConflictEvent): void }
  readonly #history: History
  readonly #subscribers = new Map<string, Set<ChangeSubscriber>>()
  readonly #warned = new Set<string>()

  constructor(events: EventBus, historyMax: number, log: { add(event: ConflictEvent): void }) {
    this.events = events
    this.#history = new History(historyMax)
    this.#log = log
  }

  changed(
    place: HistoryPlace,
    key: string,
    kind: Change['kind'],
    revision: number,
    writer: Writer | null,
  ): void {
    this.#history.add(place, key, kind, revision, writer)
    const isAwaited = this.events.has('change')
    const subscribers = this.#subscribers.size === 0 ? undefined : this.#subscribers.get(place.namespace)
    if (!isAwaited && subscribers === undefined) return
    const change: Change = Object.freeze({ namespace: place.namespace, key, kind, revision, writer })
    // Before the listeners: one of them may subscribe, from the next change on.
    for (const subscriber of subscribers ?? []) subscriber.changed(change)
    if (isAwaited) this.events.publish('change', change)
  }

  conflict(
    conflict: Conflict,
    policy: ConflictPolicy,
    outcome: ConflictEvent['outcome'],
    revision: number | null,
    atMs: number,
  ): void {
    this.conflicts[policy]++
    const { namespace, key, rule, current, previous, previousRevision, seenRevision } = conflict
    // Field by field: copying with a spread takes several times as long.
    const event: ConflictEvent = {
      namespace,
      key,
      rule,
      current,
      previous,
      previousRevision,
      seenRevision,
      policy,
      outcome,
      revision,
      atMs,
    }
    this.#log.add(event)
    // The log's own is nobody else's to change.
    if (this.events.has('conflict')) this.events.publish('conflict', Object.freeze({ ...event }))
    if (policy === 'warn') this.#warn(conflict, outcome)
  }

  external(namespace: string, key: string, preservedAs: string | null): void {
    this.events.publish('external', { namespace, key, preservedAs })
  }

  subscribe(namespace: string, subscriber: ChangeSubscriber): () => void {
    let subscribers = this.#subscribers.get(namespace)
    if (subscribers === undefined) {
      subscribers = new Set()
      this.#subscribers.set(namespace, subscribers)
    }
    const set = subscribers.add(subscriber)
    return () => {
      set.delete(subscriber)
      if (set.size === 0 && this.#subscribers.get(namespace) === set) this.#subscribers.delete(namespace)
    }
  }

  /** Changes of the namespace after a revision, oldest first, as far as they are in memory. */
  history(namespace: string, afterRevision: number): Change[] {
    return this.#history.after(namespace, afterRevision)
  }

  end(): void {
    for (const subscribers of [...this.#subscribers.values()]) {
      for (const subscriber of [...subscribers]) subscriber.end()
    }
  }

  /** A swarm that overwrites one key for hours must not flood the process: once a key and pair of writers. */
  #warn(conflict: Conflict, outcome: string): void {
    const previous = displayName(conflict.previous)
    const current = displayName(conflict.current)
    const message =
      `key '${conflict.key}' in namespace '${conflict.namespace}' was last changed by '${previous}' ` +
      `and is now ${outcome} by '${current}'`
    const warning = { code: 'CONFLICT', message, namespace: conflict.namespace }
    if (this.events.publish('warning', warning)) return
    const identity = JSON.stringify([conflict.namespace, conflict.key, previous, current])
    if (this.#warned.has(identity)) return
    if (this.#warned.size >= WARNED_MAX) this.#warned.clear()
    this.#warned.add(identity)
    warnProcess(warning.code, message)
  }
}
