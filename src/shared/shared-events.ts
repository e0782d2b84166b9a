/**
 * SharedEvents owns what a process has subscribed to of a shared root, and subscribes anew with every owner. What happens
 * between two owners is not told; that it may be missing is: iterators get a `lagged` item with `missed: Infinity`, callbacks
 * one `EVENTS_LAGGED` warning.
 */
import type { EventMap, Events, Filter } from '../api.js'
import { onAbort } from '../abort.js'
import { EventBus, type EventType } from '../event-bus.js'
import { SharedIterator } from './shared-iterator.js'

type Item<T extends EventType> =
  ({ readonly type: T } & EventMap[T]) | { readonly type: 'lagged'; readonly missed: number }

interface Subscription {
  /** A callback for events that would be missed. */
  readonly missesSilently: boolean
  readonly attach: (events: Events) => void
  readonly end: () => void
}

/** The others are about one owner. */
const MISSED: ReadonlySet<EventType> = new Set<EventType>(['change', 'conflict', 'external'])

export class SharedEvents implements Events {
  /** For what does not come from an owner: `closed`, and the warning that something may be missing. */
  readonly #own: EventBus
  readonly #bufferMax: number
  /** With the way to forget it. */
  readonly #subscriptions = new Map<Subscription, () => void>()
  /** Of nobody, while there is no owner. */
  #ofNobody: EventBus | null
  #current: Events
  #hadOwner = false

  constructor(bufferMax: number) {
    this.#bufferMax = bufferMax
    this.#own = new EventBus(bufferMax)
    this.#ofNobody = new EventBus(bufferMax)
    this.#current = this.#ofNobody
  }

  /** What it returns says that events may be missing. */
  connected(events: Events): () => void {
    this.#current = events
    this.#ofNobody?.end()
    this.#ofNobody = null
    for (const { attach } of [...this.#subscriptions.keys()]) attach(events)
    const isNext = this.#hadOwner
    this.#hadOwner = true
    return () => {
      if (!isNext || ![...this.#subscriptions.keys()].some(({ missesSilently }) => missesSilently)) return
      this.#own.warn('EVENTS_LAGGED', 'events may be missing: the root has another owner')
    }
  }

  lost(): void {
    this.#ofNobody = new EventBus(this.#bufferMax)
    this.#current = this.#ofNobody
  }

  closed(flushed: boolean): void {
    for (const forget of [...this.#subscriptions.values()]) forget()
    this.#own.publish('closed', { flushed })
    this.#own.end()
  }

  on<T extends EventType>(type: T, listener: (event: EventMap[T]) => unknown, filter?: Filter): () => void {
    if (type === 'closed') return this.#own.on(type, listener, filter)
    let off = this.#current.on(type, listener, filter)
    const offOwn = type === 'warning' ? this.#own.on(type, listener, filter) : () => {}
    return this.#keep(filter, {
      missesSilently: MISSED.has(type),
      attach: (events) => {
        off()
        off = events.on(type, listener, filter)
      },
      end: () => {
        off()
        offOwn()
      },
    })
  }

  iterate<T extends EventType>(type: T, filter?: Filter): AsyncIterable<Item<T>> {
    if (type === 'closed') return this.#own.iterate(type, filter)
    const iterator = new SharedIterator<Item<T>>({ type: 'lagged', missed: Infinity }, () => forget())
    const attach = (events: Events): void => iterator.attach(events.iterate(type, filter))
    attach(this.#current)
    const forget = this.#keep(filter, { missesSilently: false, attach, end: () => iterator.end() })
    return iterator
  }

  /** Gives the way to forget it, which ends it and takes it back from its signal. */
  #keep(filter: Filter | undefined, subscription: Subscription): () => void {
    let detach = (): void => {}
    const forget = (): void => {
      if (!this.#subscriptions.delete(subscription)) return
      detach()
      subscription.end()
    }
    this.#subscriptions.set(subscription, forget)
    if (filter?.signal !== undefined) detach = onAbort(filter.signal, forget)
    return forget
  }
}
