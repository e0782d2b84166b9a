/** The other end of `createPort`: a store out of a port. */
import { MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Defaults, Store } from '../api.js'
import { stateError } from '../errors.js'
import { typeName } from '../messages.js'
import { BASE_DEFAULTS, resolveDefaults, type ResolvedDefaults } from '../options.js'
import { StoreHandle, type CloseSettings, type StoreParts } from '../store-handle.js'
import { ClientConnection } from './client-connection.js'
import { readGreeting } from './greeting.js'
import { RemoteCoordinator } from './remote-coordinator.js'

/**
 * The store behind a port that `createPort` made, in whatever thread of the process. Rejects with `TypeError` if it is no
 * such port, and with `DISCONNECTED` if the port or the store was closed.
 *
 * @example
 * ```ts
 * // in the store's thread
 * const port = store.createPort({ writer: { writerId: 'worker-1' } })
 * new Worker(new URL('./agent.js', import.meta.url), { workerData: port, transferList: [port] })
 * // in agent.js
 * const store = await connectStore(workerData)
 * ```
 */
export async function connectStore(to: MessagePort, options?: Defaults): Promise<Store> {
  if (!(to instanceof MessagePort))
    throw new TypeError(`connectStore takes a MessagePort, not ${typeName(to)}`)
  const defaults = resolveDefaults(BASE_DEFAULTS, options)
  defaults.signal?.throwIfAborted()
  return storeOf(await connectPort(to, defaults.signal), defaults)
}

export interface Connected {
  readonly host: RemoteCoordinator
  readonly connection: ClientConnection
}

/** `findCause` is asked why the connection was lost, if it was. */
export async function connectPort(
  port: MessagePort,
  signal: AbortSignal | undefined,
  findCause: () => Promise<unknown> = () => Promise.resolve(undefined),
): Promise<Connected> {
  checkUsable(port)
  const greeting = readGreeting(receiveMessageOnPort(port)?.message)
  const connection = new ClientConnection(port, greeting, findCause)
  const host = new RemoteCoordinator(connection)
  try {
    await host.hello(signal)
  } catch (error) {
    connection.abandon()
    throw error
  }
  return { host, connection }
}

/** `close` stands in for the connection's own where there is more to do. */
export function storeOf(
  { host, connection }: Connected,
  defaults: ResolvedDefaults,
  close = (settings: CloseSettings): Promise<boolean> => host.close(settings),
): Store {
  const { root, bounds } = connection.greeting
  const parts: StoreParts = {
    host,
    events: connection.events.bus,
    root,
    createPort: (asked) => host.createPort(asked),
    close,
  }
  // Who is bound to write as somebody does so without having to say it.
  const { writer } = bounds
  return new StoreHandle(
    parts,
    writer === null || defaults.writer !== null ? defaults : { ...defaults, writer },
  )
}

/** Only a port that can still be used can be kept alive. Reading from one that was moved elsewhere would crash Node 20. */
function checkUsable(port: MessagePort): void {
  port.ref()
  const isUsable = (port as MessagePort & { hasRef(): boolean }).hasRef()
  port.unref()
  if (isUsable) return
  throw stateError('DISCONNECTED', 'the port is closed, or was moved to another thread', {})
}
