/**
 * EventBus owns the subscriptions to a store's events. The coordinator publishes after the backend's acknowledgement
 * and in commit order (I2). A listener that throws or rejects disturbs neither the store nor the other listeners: what
 * it threw becomes a `warning`.
 */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'eventemitter3'
import type { EventMap, Events, Filter } from './api.js'
import { onAbort } from './abort.js'
import { BoundedIterator } from './bounded-iterator.js'
import { checkFunction } from './check-options.js'
import { isThenable } from './is-thenable.js'
import { thrownText } from './messages.js'
import { checkFilter } from './options.js'

export type EventType = keyof EventMap
type Type = EventType
type Lagged = { readonly type: 'lagged'; readonly missed: number }

export const EVENT_TYPES: readonly EventType[] = [
  'conflict',
  'change',
  'external',
  'warning',
  'failed',
  'recovered',
  'closed',
]
const TYPES: ReadonlySet<string> = new Set(EVENT_TYPES)

/** Told of every subscription when it begins and when it ends, by a bus whose events come from elsewhere. */
export interface Interest {
  added(type: EventType, namespace: string | undefined): void
  removed(type: EventType, namespace: string | undefined): void
}

interface OpenIterator {
  readonly waiting: number
  /** Events that were dropped and that nobody was told of yet. */
  readonly untold: number
  readonly type: EventType
  readonly namespace: string | undefined
  end(): void
  missed(count: number): void
}

export class EventBus implements Events {
  readonly #emitter = new EventEmitter<Record<Type, (event: unknown) => void>>()
  readonly #iterators = new Set<OpenIterator>()
  /** What ends the subscriptions that end with a signal. */
  readonly #detaching = new Set<() => void>()
  readonly #bufferMax: number
  readonly #interest: Interest | null
  #missed = 0
  /** How often an event was taken, by anybody. */
  #taken = 0
  #ended = false

  constructor(bufferMax: number, interest: Interest | null = null) {
    this.#bufferMax = bufferMax
    this.#interest = interest
  }

  /** Events that iterators dropped so far; those that they have not told of, and those that wait in one, now. */
  get counts(): { readonly missed: number; readonly untold: number; readonly waiting: number } {
    let untold = 0
    let waiting = 0
    for (const iterator of this.#iterators) {
      untold += iterator.untold
      waiting += iterator.waiting
    }
    return { missed: this.#missed, untold, waiting }
  }

  has(type: Type): boolean {
    return this.#emitter.listenerCount(type) > 0
  }

  /** False if nobody took it: nobody listens, filters leave it out, or there is no room for it. */
  publish<T extends Type>(type: T, event: EventMap[T]): boolean {
    const before = this.#taken
    this.#emitter.emit(type, event)
    return this.#taken > before
  }

  /** A warning reaches somebody: the subscribers, or the process. */
  warn(code: string, message: string, namespace?: string): void {
    const warning = namespace === undefined ? { code, message } : { code, message, namespace }
    if (!this.publish('warning', warning)) warnProcess(code, message)
  }

  /**
   * Events were dropped before they reached this bus. Iterators are given the count for their filter; callbacks can't be,
   * so it becomes a warning.
   */
  lagged(type: EventType, missed: (namespace: string | undefined) => number): void {
    let listeners = this.#emitter.listenerCount(type)
    for (const iterator of [...this.#iterators]) {
      if (iterator.type !== type) continue
      listeners--
      iterator.missed(missed(iterator.namespace))
    }
    if (listeners <= 0) return
    const count = missed(undefined)
    this.warn('EVENTS_LAGGED', `${count} '${type}' events were dropped, for they were not taken in time`)
  }

  /** Ends all iterators; nothing is published afterwards. */
  end(): void {
    this.#ended = true
    for (const iterator of [...this.#iterators]) iterator.end()
    this.#emitter.removeAllListeners()
    for (const detach of this.#detaching) detach()
    this.#detaching.clear()
  }

  on<T extends Type>(type: T, listener: (event: EventMap[T]) => unknown, filter?: Filter): () => void {
    checkType(type)
    checkFunction(listener, 'listener')
    checkFilter(filter)
    const tell = this.#guard(type, listener)
    const deliver = (event: EventMap[T]): boolean => {
      tell(event)
      return true
    }
    return this.#subscribe(type, deliver, filter)
  }

  /** As `on`, for what takes events elsewhere: `pass` says whether it takes this one. */
  relay<T extends Type>(type: T, pass: (event: EventMap[T]) => boolean): () => void {
    const tell = this.#guard(type, pass)
    return this.#subscribe(type, (event) => tell(event) === true, undefined)
  }

  iterate<T extends Type>(
    type: T,
    filter?: Filter,
  ): AsyncIterable<({ readonly type: T } & EventMap[T]) | Lagged> {
    checkType(type)
    checkFilter(filter)
    let missed = 0
    const takeMissed = (): Lagged | null => {
      if (missed === 0) return null
      const lagged: Lagged = { type: 'lagged', missed }
      missed = 0
      return lagged
    }
    let unsubscribe = (): void => {}
    const handle: OpenIterator = {
      get waiting() {
        return iterator.waiting
      },
      get untold() {
        return missed
      },
      type,
      namespace: filter?.namespace,
      end: () => iterator.end(),
      missed: (count) => {
        missed += count
        if (iterator.isFull) return
        const lagged = takeMissed()
        if (lagged !== null) iterator.push(lagged)
      },
    }
    const iterator = new BoundedIterator<({ readonly type: T } & EventMap[T]) | Lagged>(
      this.#bufferMax,
      {
        onClose: () => {
          unsubscribe()
          this.#iterators.delete(handle)
        },
        onEmpty: takeMissed,
      },
      filter?.signal,
    )
    if (filter?.signal?.aborted === true) return iterator
    if (this.#ended) {
      iterator.end()
      return iterator
    }
    this.#iterators.add(handle)
    const deliver = (event: EventMap[T]): boolean => {
      if (!iterator.isFull) {
        const lagged = takeMissed()
        if (lagged !== null) iterator.push(lagged)
      }
      if (iterator.push({ ...event, type })) return true
      missed++
      this.#missed++
      return false
    }
    unsubscribe = this.#subscribe(type, deliver, { namespace: filter?.namespace })
    return iterator
  }

  #subscribe<T extends Type>(
    type: T,
    deliver: (event: EventMap[T]) => boolean,
    filter: Filter | undefined,
  ): () => void {
    const { namespace, signal } = filter ?? {}
    if (signal?.aborted === true || this.#ended) return () => {}
    let isOn = true
    // One that unsubscribed while the event is being published still gets here.
    const listener = (event: unknown): void => {
      if (!isOn) return
      const typed = event as EventMap[T]
      if (namespace !== undefined && 'namespace' in typed && typed.namespace !== namespace) return
      if (deliver(typed)) this.#taken++
    }
    this.#emitter.on(type, listener)
    this.#interest?.added(type, namespace)
    const off = (): void => {
      if (!isOn) return
      isOn = false
      this.#emitter.off(type, listener)
      this.#interest?.removed(type, namespace)
    }
    if (signal === undefined) return off
    const detach = onAbort(signal, () => {
      this.#detaching.delete(detach)
      off()
    })
    this.#detaching.add(detach)
    return () => {
      off()
      detach()
      this.#detaching.delete(detach)
    }
  }

  /** Gives what the listener gives, in whose context it is called; nothing if it throws. */
  #guard<T extends Type>(
    type: T,
    listener: (event: EventMap[T]) => unknown,
  ): (event: EventMap[T]) => unknown {
    const call = inOwnContext(listener)
    return (event) => {
      try {
        const result = call(event)
        if (isThenable(result)) result.then(undefined, (error: unknown) => this.#listenerFailed(type, error))
        return result
      } catch (error) {
        this.#listenerFailed(type, error)
        return undefined
      }
    }
  }

  /** A failing listener of warnings is not told of itself by a warning event: that would never end. */
  #listenerFailed(type: Type, error: unknown): void {
    const message = `a listener of '${type}' events failed: ${thrownText(error)}`
    if (type === 'warning') warnProcess('LISTENER_FAILED', message)
    else this.warn('LISTENER_FAILED', message)
  }
}

export function warnProcess(code: string, message: string): void {
  process.emitWarning(message, { type: 'AgentStateWarning', code })
}

/** What is published happens in the context of whoever caused it, an update's turn say, which is none of the listener's. */
function inOwnContext<E>(listener: (event: E) => unknown): (event: E) => unknown {
  return AsyncResource.bind(listener)
}

function checkType(type: unknown): asserts type is Type {
  if (typeof type === 'string' && TYPES.has(type)) return
  throw new TypeError(`unknown event type '${String(type)}'; known are ${[...TYPES].join(', ')}`)
}
