/**
 * PortHost owns the connections of a store: it makes their ports, tells them when the store closes, and knows which
 * connection a token names. A port is served from the moment it is made, wherever its other end travels.
 */
import { randomUUID } from 'node:crypto'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { PortBounds } from '../api.js'
import { onAbort } from '../abort.js'
import type { Coordinator } from '../coordinator/coordinator.js'
import type { EventBus } from '../event-bus.js'
import { stateError } from '../errors.js'
import type { StoreMetrics } from '../metrics.js'
import { narrowBounds, UNBOUNDED, type Bounds } from './bounds.js'
import { HostConnection } from './host-connection.js'
import type { ConnectionRights, Family, HostContext } from './host-context.js'
import { makeGreeting } from './greeting.js'

export class PortHost {
  readonly #coordinator: Coordinator
  readonly #root: string
  readonly #id = randomUUID()
  readonly #connections = new Map<string, HostConnection>()
  readonly #context: HostContext

  constructor(coordinator: Coordinator, bus: EventBus, root: string) {
    this.#coordinator = coordinator
    this.#root = root
    this.#context = {
      coordinator,
      bus,
      metrics: (mayKnow) => this.metrics(mayKnow),
      findTurn: (token, id) => this.#connections.get(token)?.turns.find(id) ?? null,
      adopt: (port, token, bounds, family) => this.#adopt(port, token, bounds, family),
    }
    onAbort(coordinator.closing, () => {
      for (const connection of this.#connections.values()) connection.closing(coordinator.closing.reason)
    })
  }

  /** What is under way over all connections. */
  get counts(): Readonly<Record<'connections' | 'calls' | 'turns' | 'watches', number>> {
    const sum = { connections: this.#connections.size, calls: 0, turns: 0, watches: 0 }
    for (const { counts } of this.#connections.values()) {
      sum.calls += counts.calls
      sum.turns += counts.turns
      sum.watches += counts.watches
    }
    return sum
  }

  metrics(mayKnow: (namespace: string) => boolean = () => true): StoreMetrics {
    return { ...this.#coordinator.counted(mayKnow), connections: this.#connections.size }
  }

  createPort(asked: PortBounds | undefined): MessagePort {
    const bounds = narrowBounds(UNBOUNDED, asked)
    this.#coordinator.checkOpen()
    return this.#create(bounds, null).port
  }

  /** A port for who opened the store: closing the connection closes the store. */
  createOwnerPort(
    closeStore: NonNullable<ConnectionRights['closeStore']>,
    onClosed: () => void,
  ): MessagePort {
    const { port, connection } = this.#create(UNBOUNDED, closeStore, onClosed)
    connection.subscribeEarly()
    return port
  }

  /** The store is closed. Gives every connection what is left for it and closes it, except its owner's. */
  async close(flushed: boolean): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.finish(flushed)))
  }

  #create(
    bounds: Bounds,
    closeStore: ConnectionRights['closeStore'],
    onClosed: () => void = () => {},
  ): { port: MessagePort; connection: HostConnection } {
    const { port1, port2 } = new MessageChannel()
    const rights = { token: randomUUID(), bounds, family: { portsOpen: 0 }, closeStore }
    port1.postMessage(
      makeGreeting({
        store: this.#id,
        token: rights.token,
        root: this.#root,
        limits: this.#coordinator.limits,
        state: this.#coordinator.state === 'failed' ? 'failed' : 'open',
        bounds,
        isOwner: closeStore !== null,
      }),
    )
    return { port: port2, connection: this.#serve(port1, rights, onClosed) }
  }

  /** The greeting is in the port already, from the connection that made it. */
  #adopt(port: MessagePort, token: string, bounds: Bounds, family: Family): void {
    const max = this.#coordinator.limits.connectionPortsMax
    if (family.portsOpen >= max) {
      const fields = { limit: 'connectionPortsMax', max, actual: max + 1 } as const
      throw stateError('LIMIT_EXCEEDED', `connections may make ${max} ports`, fields)
    }
    if (this.#connections.has(token)) throw new TypeError('the token is in use')
    this.#coordinator.checkOpen()
    family.portsOpen++
    this.#serve(port, { token, bounds, family, closeStore: null }, () => void family.portsOpen--)
  }

  #serve(port: MessagePort, rights: ConnectionRights, onClosed: () => void): HostConnection {
    const connection = new HostConnection(port, this.#context, rights, () => {
      this.#connections.delete(rights.token)
      onClosed()
    })
    this.#connections.set(rights.token, connection)
    return connection
  }
}
