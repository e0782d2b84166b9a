/** The other end of `createPort`, or of an owner's local socket: a store out of a port. */
import { MessageChannel, MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Defaults, Store, Writer } from '../api.js'
import { checkOptions, isPlainObject } from '../check-options.js'
import { stateError } from '../errors.js'
import { typeName } from '../messages.js'
import { checkRoot } from '../open-options.js'
import { BASE_DEFAULTS, resolveDefaults } from '../options.js'
import { StoreHandle, type CloseSettings, type StoreParts } from '../store-handle.js'
import { ClientConnection } from './client-connection.js'
import { readGreeting, type GreetingContent } from './greeting.js'
import { RemoteCoordinator } from './remote-coordinator.js'
import { connectRoot } from './socket/connect-root.js'

const TARGET: ReadonlySet<string> = new Set(['root'])

/**
 * The store behind a port that `createPort` made, in whatever thread of the process, or the one that another process of the
 * same user has open at a root. Rejects with `TypeError` if it is no such port, with `DISCONNECTED` if the port or the store
 * was closed, and with `NO_OWNER` if nobody has the root open (or `socket: false`); opening it is `openStore`'s, and
 * `shareStore` does whichever is right. A port can't be used for anything else any more; closing it drops the connection with
 * all that is under way.
 *
 * @example
 * ```ts
 * // in the store's thread
 * const port = store.createPort({ writer: { writerId: 'worker-1' } })
 * new Worker(new URL('./agent.js', import.meta.url), { workerData: port, transferList: [port] })
 * // in agent.js
 * const store = await connectStore(workerData)
 * // in another process
 * const store = await connectStore({ root: './state' })
 * ```
 */
export async function connectStore(
  to: MessagePort | { readonly root: string },
  options?: Defaults,
): Promise<Store> {
  const target = checkTarget(to)
  const defaults = resolveDefaults(BASE_DEFAULTS, options)
  const { signal } = defaults
  signal?.throwIfAborted()
  const parts =
    target instanceof MessagePort
      ? partsOf(await connectPort(target, signal))
      : await connectRootParts(target, signal)
  const { writer } = parts
  // Who is bound to write as somebody does so without having to say it.
  return new StoreHandle(
    parts,
    writer === null || defaults.writer !== null ? defaults : { ...defaults, writer },
  )
}

/** What a store is made of whose owner is another process. `root` is as the caller names it. */
export async function connectRootParts(
  root: string,
  signal: AbortSignal | undefined,
): Promise<ConnectedParts> {
  const { port, cause, setLimits } = await connectRoot(root, signal)
  const connected = await connectPort(port, signal, cause)
  setLimits(connected.connection.greeting.limits)
  return { ...partsOf(connected), root }
}

function checkTarget(to: unknown): MessagePort | string {
  if (to instanceof MessagePort) return to
  if (!isPlainObject(to)) {
    throw new TypeError(`connectStore takes a MessagePort or an object with a root, not ${typeName(to)}`)
  }
  checkOptions(to, TARGET, 'connectStore')
  return checkRoot(to['root'])
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

/** With the writer that the connection is bound to, if it is. */
export interface ConnectedParts extends StoreParts {
  readonly writer: Writer | null
}

/** `close` stands in for the connection's own where there is more to do. */
export function partsOf(
  { host, connection }: Connected,
  close = (settings: CloseSettings): Promise<boolean> => host.close(settings),
): ConnectedParts {
  const { root, bounds } = connection.greeting
  return {
    host,
    events: connection.events.bus,
    root,
    createPort: (asked) => host.createPort(asked),
    metrics: () => host.metrics(),
    close,
    writer: bounds.writer,
  }
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
