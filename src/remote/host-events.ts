/**
 * HostEvents owns the events that one connection has subscribed to, a queue for each type. As long as the other side takes
 * what it is sent, events go out at once; when it does not, its queue fills, and what does not fit any more is counted and
 * told in the place where it is missing (I9). Nobody else notices.
 */
import type { EventMap } from '../api.js'
import { Queue } from '../queue.js'
import { EVENT_TYPES, type EventBus, type EventType } from '../event-bus.js'
import { allowsNamespace, type Bounds } from './bounds.js'
import type { Outbox } from './outbox.js'
import { ANSWER, EVENT_WINDOW, FILTER_NAMESPACES_MAX } from './wire.js'

type Item =
  | { readonly kind: 'event'; readonly event: EventMap[EventType] }
  | { readonly kind: 'lagged'; readonly total: number; readonly byNamespace: ReadonlyMap<string, number> }

interface Subscription {
  readonly type: EventType
  all: boolean
  readonly namespaces: Set<string>
  /** Sent and not taken yet. */
  out: number
  readonly waiting: Queue<Item>
  missed: number
  missedByNamespace: Map<string, number>
  readonly unsubscribe: () => void
}

export class HostEvents {
  readonly #bus: EventBus
  readonly #bounds: Bounds
  readonly #outbox: Outbox
  readonly #bufferMax: number
  readonly #subscriptions = new Map<EventType, Subscription>()
  #isEnding = false

  constructor(bus: EventBus, bounds: Bounds, outbox: Outbox, bufferMax: number) {
    this.#bus = bus
    this.#bounds = bounds
    this.#outbox = outbox
    this.#bufferMax = bufferMax
  }

  /** Without a namespace: all. False if there are too many namespaces to tell apart. */
  subscribe(type: EventType, namespace: string | undefined, isOn: boolean): boolean {
    const known = this.#subscriptions.get(type)
    if (!isOn) {
      if (known !== undefined) this.#narrow(known, namespace)
      return true
    }
    const subscription = known ?? this.#begin(type)
    if (namespace === undefined) subscription.all = true
    else if (subscription.namespaces.size >= FILTER_NAMESPACES_MAX) return false
    else subscription.namespaces.add(namespace)
    return true
  }

  /** The other side has taken so many events of each type. */
  taken(counts: Readonly<Record<EventType, number>>): void {
    for (const type of EVENT_TYPES) {
      const subscription = counts[type] === 0 ? undefined : this.#subscriptions.get(type)
      if (subscription === undefined) continue
      subscription.out -= counts[type]
      this.#forward(subscription)
    }
  }

  /** Sends what waits, whatever was taken: no more will come. */
  finish(): void {
    this.#isEnding = true
    for (const subscription of this.#subscriptions.values()) this.#forward(subscription)
  }

  close(): void {
    for (const { unsubscribe } of this.#subscriptions.values()) unsubscribe()
    this.#subscriptions.clear()
  }

  #begin(type: EventType): Subscription {
    const subscription: Subscription = {
      type,
      all: false,
      namespaces: new Set(),
      out: 0,
      waiting: new Queue(),
      missed: 0,
      missedByNamespace: new Map(),
      unsubscribe: this.#bus.relay(type, (event) => this.#published(subscription, event)),
    }
    this.#subscriptions.set(type, subscription)
    return subscription
  }

  #narrow(subscription: Subscription, namespace: string | undefined): void {
    if (namespace === undefined) subscription.all = false
    else subscription.namespaces.delete(namespace)
    if (subscription.all || subscription.namespaces.size > 0) return
    subscription.unsubscribe()
    this.#subscriptions.delete(subscription.type)
  }

  /** Whether the other side is told of it. */
  #published(subscription: Subscription, event: EventMap[EventType]): boolean {
    const namespace = 'namespace' in event ? event.namespace : undefined
    if (!this.#isWanted(subscription, namespace)) return false
    if (subscription.waiting.length >= this.#bufferMax) {
      miss(subscription, namespace)
      return false
    }
    noteMissed(subscription)
    subscription.waiting.push({ kind: 'event', event })
    this.#forward(subscription)
    return true
  }

  #isWanted({ all, namespaces, type }: Subscription, namespace: string | undefined): boolean {
    // Warnings without a namespace may tell of any.
    if (namespace === undefined) return type !== 'warning' || this.#bounds.namespaces === null
    return (all || namespaces.has(namespace)) && allowsNamespace(this.#bounds, namespace)
  }

  #forward(subscription: Subscription): void {
    const { writer, load } = this.#outbox
    const { type, waiting } = subscription
    while (subscription.out < EVENT_WINDOW || this.#isEnding) {
      if (waiting.length === 0) noteMissed(subscription)
      const item = waiting.shift()
      if (item === undefined) break
      if (item.kind === 'event') {
        writer.push(ANSWER.EVENT, type, item.event)
        subscription.out++
        load.events[type]++
      } else {
        writer.push(ANSWER.LAGGED, type, item.total, [...item.byNamespace])
      }
      this.#outbox.schedule()
    }
  }
}

function miss(subscription: Subscription, namespace: string | undefined): void {
  subscription.missed++
  if (namespace === undefined || !subscription.namespaces.has(namespace)) return
  const count = subscription.missedByNamespace.get(namespace) ?? 0
  subscription.missedByNamespace.set(namespace, count + 1)
}

/** Puts the count of what is missing behind what waits. */
function noteMissed(subscription: Subscription): void {
  if (subscription.missed === 0) return
  const { missed: total, missedByNamespace: byNamespace } = subscription
  subscription.waiting.push({ kind: 'lagged', total, byNamespace })
  subscription.missed = 0
  subscription.missedByNamespace = new Map()
}
