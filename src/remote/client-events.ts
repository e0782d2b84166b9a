/**
 * ClientEvents owns the subscriptions of this thread to the events of a store elsewhere: a bus as the store's own, which is
 * fed from there with what somebody listens to. `failed` and `closed` come from the connection itself.
 */
import type { EventMap } from '../api.js'
import { EventBus, type EventType, type Interest } from '../event-bus.js'
import { FILTER_NAMESPACES_MAX } from './wire.js'

type Tell = (type: EventType, namespace: string | undefined, isOn: boolean) => void

/** What is listened to of one type. Without a namespace: to all. */
interface Listening {
  all: number
  readonly namespaces: Map<string, number>
  /** Namespaces beyond what the host tells apart; while there are any, everything is sent. */
  readonly beyond: Map<string, number>
}

/** What the owner of a store is told before it can have subscribed: published in the first turn after it was opened. */
export const EARLY_TYPES = ['recovered', 'external', 'warning'] as const satisfies readonly EventType[]

export class ClientEvents {
  readonly bus: EventBus
  readonly #tell: Tell
  readonly #listening = new Map<EventType, Listening>()
  #early: (() => void)[] | null

  constructor(bufferMax: number, isOwner: boolean, tell: Tell) {
    const interest: Interest = {
      added: (type, namespace) => this.#added(type, namespace),
      removed: (type, namespace) => this.#removed(type, namespace),
    }
    this.bus = new EventBus(bufferMax, interest)
    this.#tell = tell
    this.#early = isOwner ? [] : null
  }

  deliver(type: EventType, event: EventMap[EventType]): void {
    if (this.#early === null) this.bus.publish(type, event)
    else this.#early.push(() => this.#publishEarly(type, event))
  }

  lagged(type: EventType, total: number, byNamespace: ReadonlyMap<string, number>): void {
    const told = this.#listening.get(type)?.namespaces
    this.bus.lagged(type, (namespace) => {
      if (namespace === undefined) return total
      return told?.has(namespace) === true ? (byNamespace.get(namespace) ?? 0) : total
    })
  }

  /** The owner has its store and may have subscribed: from here on only what it wants is sent. */
  publishEarly(): void {
    const early = this.#early ?? []
    this.#early = null
    for (const publish of early) publish()
    for (const type of EARLY_TYPES) if (!this.#isAllWanted(type)) this.#tell(type, undefined, false)
  }

  #publishEarly(type: EventType, event: EventMap[EventType]): void {
    if (type !== 'warning') {
      this.bus.publish(type, event as never)
      return
    }
    const { code, message, namespace } = event as EventMap['warning']
    this.bus.warn(code, message, namespace)
  }

  #added(type: EventType, namespace: string | undefined): void {
    if (type === 'failed' || type === 'closed') return
    const listening = this.#listening.get(type) ?? { all: 0, namespaces: new Map(), beyond: new Map() }
    this.#listening.set(type, listening)
    const wasAllWanted = this.#isAllWanted(type)
    const { namespaces, beyond } = listening
    if (namespace === undefined) {
      listening.all++
    } else if (
      beyond.has(namespace) ||
      (!namespaces.has(namespace) && namespaces.size >= FILTER_NAMESPACES_MAX)
    ) {
      count(beyond, namespace, 1)
    } else if (count(namespaces, namespace, 1) === 1) {
      this.#tell(type, namespace, true)
    }
    if (!wasAllWanted && this.#isAllWanted(type)) this.#tell(type, undefined, true)
  }

  #removed(type: EventType, namespace: string | undefined): void {
    const listening = this.#listening.get(type)
    if (listening === undefined) return
    const wasAllWanted = this.#isAllWanted(type)
    const { namespaces, beyond } = listening
    if (namespace === undefined) listening.all--
    else if (beyond.has(namespace)) count(beyond, namespace, -1)
    else if (count(namespaces, namespace, -1) === 0) this.#tell(type, namespace, false)
    if (wasAllWanted && !this.#isAllWanted(type)) this.#tell(type, undefined, false)
    if (listening.all === 0 && namespaces.size === 0 && beyond.size === 0) this.#listening.delete(type)
  }

  #isAllWanted(type: EventType): boolean {
    const listening = this.#listening.get(type)
    return listening !== undefined && (listening.all > 0 || listening.beyond.size > 0)
  }
}

function count(counts: Map<string, number>, name: string, change: 1 | -1): number {
  const next = (counts.get(name) ?? 0) + change
  if (next > 0) counts.set(name, next)
  else counts.delete(name)
  return next
}
