/** The other end of `createPort`: a store out of a port. */
import { MessageChannel, MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Defaults, Store } from '../api.js'
import { stateError } from '../errors.js'
import { typeName } from '../messages.js'
import { BASE_DEFAULTS, resolveDefaults, type ResolvedDefaults } from '../options.js'
import { StoreHandle, type CloseSettings, type StoreParts } from '../store-handle.js'
import { ClientConnection } from './client-connection.js'
import { readGreeting, type GreetingContent } from './greeting.js'
import { RemoteCoordinator } from './remote-coordinator.js'

/**
 * The store behind a port that `createPort` made, in whatever thread of the process. Rejects with `TypeError` if it is no
 * such port, and with `DISCONNECTED` if the port or the store was closed. The port can't be used for anything else any more;
 * closing it drops the connection with all that is under way.
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
  given: MessagePort,
  signal: AbortSignal | undefined,
  findCause: () => Promise<unknown> = () => Promise.resolve(undefined),
): Promise<Connected> {
  const port = takeOver(given)
  const greeting = greetingOf(port)
  const connection = new ClientConnection(port, greeting, findCause)
  // The port was moved: what its holder has is empty, but closing it still means that the connection ends.
  given.close = () => connection.abandon()
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

/**
 * The port as one that nobody else holds: it is moved, within this thread. A port that was closed or moved elsewhere can't
 * be; reading from such a one would crash Node 20.
 */
function takeOver(port: MessagePort): MessagePort {
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(port, [port])
    return (receiveMessageOnPort(port2) as { readonly message: MessagePort }).message
  } catch (cause) {
    const message = 'the port is closed, connected already, or was moved to another thread'
    throw stateError('DISCONNECTED', message, { cause })
  } finally {
    port1.close()
  }
}

function greetingOf(port: MessagePort): GreetingContent {
  try {
    return readGreeting(receiveMessageOnPort(port)?.message)
  } catch (error) {
    port.close()
    throw error
  }
}
