/** The way from another process to the owner of a root: a port, as `createPort` would give it, out of the local socket. */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { onAbort } from '../../abort.js'
import { errorCode, nodeFileSystem as fs } from '../../backend/file/file-system.js'
import { storeLayout } from '../../backend/file/layout.js'
import { AgentStateError, stateError } from '../../errors.js'
import type { Limits } from '../../limits.js'
import { addressOf, pipeName } from './socket-address.js'
import { CONTENT_BYTES_MAX, messageBytesMax } from './socket-frames.js'
import { exchangePreambles } from './socket-preamble.js'
import { SocketRelay } from './socket-relay.js'

export interface RootConnection {
  /** The greeting is in it. */
  readonly port: MessagePort
  /** Why the connection has ended, if it was for a reason; resolves when it has. */
  readonly cause: () => Promise<unknown>
  /** To be told the owner's limits, which are in the greeting: what it would not take is not sent. */
  readonly setLimits: (limits: Limits) => void
}

/** The owner has not come to accept those who connected before; it is tried again. */
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'EWOULDBLOCK'])
const BUSY_PAUSE_MS = 20
/** An owner that is stopped accepts connections, and says nothing. */
const GREETING_MS = 30_000

/** There is nothing, or nobody who listens. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'EPROTOTYPE', 'ELOOP'])
/** Its owner went while the connection waited to be accepted. */
const GONE: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNABORTED', 'EPIPE'])
const UNUSABLE: ReadonlySet<string> = new Set(['ENOTDIR', 'ENAMETOOLONG'])
const REFUSED: ReadonlySet<string> = new Set(['EACCES', 'EPERM'])

/** Rejects with `NO_OWNER` if nobody listens there. The port must be closed if it is not used. */
export async function connectRoot(root: string, signal: AbortSignal | undefined): Promise<RootConnection> {
  const path = resolve(root)
  const startedAt = performance.now()
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await connectOnce(path, signal)
    } catch (error) {
      const isBusy = BUSY.has(errorCode(error))
      if (isBusy && performance.now() - startedAt >= GREETING_MS) throw gone(path, error)
      if (!isBusy) throw signal?.aborted === true ? error : asStateError(path, error)
    }
    await pause(BUSY_PAUSE_MS, undefined, { signal }).catch(() => {})
  }
}

async function connectOnce(root: string, signal: AbortSignal | undefined): Promise<RootConnection> {
  const socket = await openSocket(root)
  const detach = signal === undefined ? null : onAbort(signal, () => socket.destroy())
  try {
    return await greet(root, socket)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    detach?.()
  }
}

function openSocket(root: string): Promise<Socket> {
  const address = checkedAddress(root)
  return new Promise((resolve, reject) => {
    const socket = connect(address.path)
    const failed = (error: unknown): void => {
      address.release()
      reject(error)
    }
    socket.once('error', failed)
    socket.once('connect', () => {
      address.release()
      socket.off('error', failed)
      resolve(socket)
    })
  })
}

function checkedAddress(root: string): { readonly path: string; release(): void } {
  if (process.platform === 'win32') return { path: pipeName(fs.realPath(root)), release: () => {} }
  const kind = fs.lstat(root)?.kind
  if (kind === 'file' || kind === 'other') {
    throw stateError('ROOT_UNUSABLE', `the root is not a directory: ${root}`, { path: root })
  }
  const { directory, socket } = storeLayout(root)
  const stat = fs.lstat(socket)
  // Whatever else was put there is not followed.
  if (stat?.kind !== 'other') throw noOwner(root, undefined)
  const self = process.getuid!()
  if (stat.uid !== self && self !== 0) {
    throw stateError('NOT_ALLOWED', `the store at ${root} is open by another user`, {})
  }
  const address = addressOf(fs, directory, 'socket')
  if (address !== null) return address
  throw stateError('ROOT_UNUSABLE', 'the path of the root is too long for a socket', { path: root })
}

/** The first message is the greeting, which whoever is given the port finds in it. */
function greet(root: string, socket: Socket): Promise<RootConnection> {
  const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), GREETING_MS)
  socket.once('close', () => clearTimeout(timer))
  return new Promise((resolve, reject) => {
    // The owner is trusted to send no more than was asked for.
    exchangePreambles(socket, CONTENT_BYTES_MAX, (preamble, error) => {
      if (preamble === null) {
        reject(gone(root, error))
        return
      }
      const { mismatch, reader } = preamble
      if (mismatch !== null) {
        socket.destroy()
        reject(otherVersion(root, mismatch))
        return
      }
      const { port1, port2 } = new MessageChannel()
      const onFirst = (): void => {
        clearTimeout(timer)
        socket.unref()
        resolve({
          port: port2,
          cause: () => relay.cause(),
          setLimits: (limits) => relay.setContentBytesMax(messageBytesMax(limits)),
        })
      }
      const relay = new SocketRelay({ socket, side: 'connects', reader, pausesAtBytes: Infinity, onFirst })
      void relay.cause().then((cause) => reject(gone(root, cause)))
      // Somebody waits for the greeting.
      socket.ref()
      relay.start(port1)
    })
  })
}

function asStateError(path: string, error: unknown): unknown {
  const code = errorCode(error)
  if (NOBODY.has(code)) return noOwner(path, error)
  if (REFUSED.has(code)) {
    return stateError('NOT_ALLOWED', `the store at ${path} may not be used by this user`, { cause: error })
  }
  if (GONE.has(code)) return gone(path, error)
  if (AgentStateError.is(error) || code === 'UNKNOWN') return error
  const { message: why } = error as Error
  if (UNUSABLE.has(code)) {
    return stateError('ROOT_UNUSABLE', `the root can't be used: ${why}`, { path, cause: error })
  }
  const message = `the owner of the root could not be connected to: ${why}`
  return stateError('READ_FAILED', message, { path, cause: error })
}

function noOwner(root: string, cause: unknown): Error {
  const message = `no process that can be connected to has the root open: ${root}`
  return stateError('NO_OWNER', message, { path: root, cause })
}

function gone(root: string, cause: unknown): Error {
  return stateError('DISCONNECTED', `the owner of the root closed the connection: ${root}`, { cause })
}

function otherVersion(root: string, versions: { readonly found: string; readonly supported: string }): Error {
  const { found, supported } = versions
  const message =
    `the owner of ${root} runs another version of this library or of Node.js: ` +
    `it speaks ${found}, here it is ${supported}`
  return stateError('PROTOCOL_MISMATCH', message, versions)
}
