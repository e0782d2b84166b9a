/** What the connections of one store share. */
import type { MessagePort } from 'node:worker_threads'
import type { Coordinator } from '../coordinator/coordinator.js'
import type { Turn } from '../coordinator/update-turns.js'
import type { EventBus } from '../event-bus.js'
import type { StoreMetrics } from '../metrics.js'
import type { CloseSettings } from '../store-handle.js'
import type { Bounds } from './bounds.js'

/** A connection that was made for a user of the store, with those that were made through it. */
export interface Family {
  /** Ports that were made through its connections and are open. */
  portsOpen: number
}

export interface HostContext {
  readonly coordinator: Coordinator
  readonly bus: EventBus
  /** What the whole store has counted. `mayKnow`: of which namespaces keys are told. */
  metrics(mayKnow: (namespace: string) => boolean): StoreMetrics
  /** An update of any connection of this store, named by the connection's token and its own id of the update. */
  findTurn(token: string, id: number): Turn | null
  /** Serves a port that was made through a connection. Throws if there are too many already. */
  adopt(port: MessagePort, token: string, bounds: Bounds, family: Family): void
}

export interface ConnectionRights {
  readonly token: string
  readonly bounds: Bounds
  readonly family: Family
  /** Closing the connection closes the store: set for the one that opened it. */
  readonly closeStore: ((settings: CloseSettings) => Promise<boolean>) | null
}
