/**
 * Publisher owns what others learn of committed changes: the events, the history of the last changes and the watchers.
 * The coordinator calls it after the backend's acknowledgement and in commit order (I2), in one go a request, so that
 * everybody sees the changes of a namespace in the same order.
 */
import type { Change, Conflict, ConflictEvent, ConflictPolicy } from '../api.js'
import type { EventBus } from '../event-bus.js'
import { displayName } from '../writer.js'
import type { NamespaceState } from './namespace-state.js'

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
  readonly #historyMax: number
  /** Ring of the last changes of all namespaces. */
  readonly #history: Change[] = []
  #historyNext = 0
  readonly #subscribers = new Map<string, Set<ChangeSubscriber>>()
  readonly #states: (namespace: string) => NamespaceState | undefined
  readonly #warned = new Set<string>()

  constructor(
    events: EventBus,
    historyMax: number,
    states: (namespace: string) => NamespaceState | undefined,
    log: { add(event: ConflictEvent): void },
  ) {
    this.#log = log
    this.events = events
    this.#historyMax = historyMax
    this.#states = states
  }

  changed(change: Change): void {
    this.#remember(change)
    if (this.events.has('change')) this.events.publish('change', change)
    const subscribers = this.#subscribers.get(change.namespace)
    if (subscribers === undefined) return
    for (const subscriber of subscribers) subscriber.changed(change)
  }

  conflict(
    conflict: Conflict,
    policy: ConflictPolicy,
    outcome: ConflictEvent['outcome'],
    revision: number | null,
    atMs: number,
  ): void {
    this.conflicts[policy]++
    const event = conflictEvent(conflict, policy, outcome, revision, atMs)
    this.#log.add(event)
    if (this.events.has('conflict')) this.events.publish('conflict', event)
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
    const changes: Change[] = []
    for (let i = 0; i < this.#history.length; i++) {
      const change = this.#history[(this.#historyNext + i) % this.#history.length]!
      if (change.namespace === namespace && change.revision > afterRevision) changes.push(change)
    }
    return changes
  }

  end(): void {
    for (const subscribers of [...this.#subscribers.values()]) {
      for (const subscriber of [...subscribers]) subscriber.end()
    }
  }

  #remember(change: Change): void {
    if (this.#history.length < this.#historyMax) {
      this.#history.push(change)
      return
    }
    const dropped = this.#history[this.#historyNext]!
    this.#history[this.#historyNext] = change
    this.#historyNext = (this.#historyNext + 1) % this.#historyMax
    const state = this.#states(dropped.namespace)
    if (state !== undefined && state.compactedRevision < dropped.revision) {
      state.compactedRevision = dropped.revision
    }
  }

  /** A swarm that overwrites one key for hours must not flood the process: once a key and pair of writers. */
  #warn(conflict: Conflict, outcome: string): void {
    const previous = displayName(conflict.previous)
    const current = displayName(conflict.current)
    const message =
      `key '${conflict.key}' in namespace '${conflict.namespace}' was last changed by '${previous}' ` +
      `and is now ${outcome} by '${current}'`
    if (this.events.has('warning')) {
      this.events.publish('warning', { code: 'CONFLICT', message, namespace: conflict.namespace })
      return
    }
    const identity = JSON.stringify([conflict.namespace, conflict.key, previous, current])
    if (this.#warned.has(identity)) return
    if (this.#warned.size >= WARNED_MAX) this.#warned.clear()
    this.#warned.add(identity)
    this.events.warn('CONFLICT', message, conflict.namespace)
  }
}

/** Field by field: copying with a spread takes several times as long. */
function conflictEvent(
  conflict: Conflict,
  policy: ConflictPolicy,
  outcome: ConflictEvent['outcome'],
  revision: number | null,
  atMs: number,
): ConflictEvent {
  const { namespace, key, rule, current, previous, previousRevision, seenRevision } = conflict
  return {
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
}
