/**
 * SocketServer owns the local socket of an open root and the connections that come through it. Only who holds the root's
 * lock has one (I10), so a socket file that is there already is one that a process left when it was killed, and is replaced.
 *
 * The socket is made in a directory that only its owner may enter, given to the owner alone (0600, whatever the umask and
 * `mode` are), and moved to its place, so at no moment another user could connect. It is removed when the store begins to
 * close, before the lock is released. It is never listened to anything but this library's protocol, and nothing of it is
 * durable.
 *
 * - I9: connections are bounded by `socketConnectionsMax`, a message by what the limits allow to be under way.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { MessagePort } from 'node:worker_threads'
import { storeLayout, type StoreLayout } from '../../backend/file/layout.js'
import { nodeFileSystem as fs, setMode } from '../../backend/file/file-system.js'
import type { Limits } from '../../limits.js'
import { addressOf, pipeName } from './socket-address.js'
import { messageBytesMax } from './socket-frames.js'
import { exchangePreambles } from './socket-preamble.js'
import { SocketRelay } from './socket-relay.js'

/** How long a process that has connected may say nothing, and how long what was said last may take to be sent. */
const PREAMBLE_MS = 30_000
const LINGER_MS = 1000

/** With so much that the other side does not take, it is not listened to. */
const PAUSES_AT_BYTES = 1024 * 1024

export interface ServerSettings {
  /** Its lock is held. */
  readonly root: string
  readonly limits: Limits
  /** Throws when the store takes no more connections. */
  readonly createPort: () => MessagePort
  /** The system does not let it listen. */
  readonly onFailure: (error: unknown) => void
}

export class SocketServer {
  readonly #settings: ServerSettings
  readonly #server: Server
  readonly #relays = new Set<SocketRelay>()
  /** Sockets that have not said who they are. */
  readonly #unknown = new Set<Socket>()
  #remove: () => void = () => {}
  #release: () => void = () => {}
  #isListening = false
  #isClosed = false

  constructor(settings: ServerSettings) {
    this.#settings = settings
    this.#server = createServer((socket) => this.#accept(socket))
    this.#server.maxConnections = settings.limits.socketConnectionsMax
  }

  /** What fails here is told by `onFailure`. */
  listen(): void {
    try {
      const root = fs.realPath(this.#settings.root)
      if (process.platform === 'win32') this.#start(pipeName(root))
      else this.#listenIn(storeLayout(root))
    } catch (error) {
      this.#settings.onFailure(error)
    }
  }

  #listenIn({ listening, socket }: StoreLayout): void {
    removeMade(listening)
    fs.makeDirectory(listening, 0o700)
    try {
      const address = addressOf(fs, listening, 's')
      if (address === null) throw new RangeError('the path of the root is too long for a socket')
      this.#release = () => address.release()
      if (!this.#start(address.path)) return
      setMode(`${listening}/s`, 0o600)
      const made = fs.lstat(`${listening}/s`)
      fs.rename(`${listening}/s`, socket)
      this.#remove = () => {
        const found = fs.lstat(socket)
        // The root may have been moved, and another one lie in its place.
        if (found?.dev === made?.dev && found?.ino === made?.ino) fs.unlink(socket)
      }
    } catch (error) {
      this.stopListening()
      throw error
    } finally {
      removeMade(listening)
    }
  }

  /** False if the system refuses; why is known in the next turn of the event loop. */
  #start(path: string): boolean {
    const server = this.#server
    server.on('error', (error) => {
      // A later one changes nothing: who is connected stays.
      if (!this.#isListening) this.#settings.onFailure(error)
    })
    // `exclusive`: in a cluster the primary would otherwise listen for all of its workers.
    server.listen({ path, exclusive: true })
    server.unref()
    this.#isListening = server.listening
    return this.#isListening
  }

  /** Nobody connects any more; who is connected stays. */
  stopListening(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#remove()
    } catch {
      // Whoever finds it learns that nobody listens.
    }
    this.#server.close()
    // The system removes the address once more when the server is closed: until then it must not come to mean another place.
    this.#release()
    for (const socket of this.#unknown) socket.destroy()
  }

  /** To be called when the connections were told that the store is closed. Resolves when they have been sent what is for them. */
  async finish(): Promise<void> {
    this.stopListening()
    await Promise.all([...this.#relays].map((relay) => relay.finish(LINGER_MS)))
  }

  /** Ends every connection, as if the process had ended. */
  cut(): void {
    this.stopListening()
    for (const relay of [...this.#relays]) relay.destroy(undefined)
  }

  #accept(socket: Socket): void {
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    this.#unknown.add(socket)
    socket.unref()
    socket.setTimeout(PREAMBLE_MS, () => socket.destroy())
    exchangePreambles(socket, messageBytesMax(this.#settings.limits), (preamble) => {
      this.#unknown.delete(socket)
      socket.setTimeout(0)
      if (preamble === null) return
      if (preamble.mismatch !== null || this.#isClosed) {
        // The other side has been told what is spoken here.
        socket.setTimeout(LINGER_MS, () => socket.destroy())
        socket.on('error', () => {}).end()
        socket.resume()
        return
      }
      const { reader } = preamble
      const relay = new SocketRelay({ socket, side: 'listens', reader, pausesAtBytes: PAUSES_AT_BYTES })
      this.#relays.add(relay)
      void relay.cause().then(() => this.#relays.delete(relay))
      this.#serve(relay)
    })
  }

  #serve(relay: SocketRelay): void {
    let port: MessagePort
    try {
      port = this.#settings.createPort()
    } catch (error) {
      // The store is closing.
      relay.destroy(error)
      return
    }
    relay.start(port)
  }
}

/** What is left in there, of a process too that was killed while it began to listen. */
function removeMade(directory: string): void {
  try {
    const found = fs.lstat(directory)
    if (found === null) return
    if (found.kind !== 'directory') return fs.unlink(directory)
    if (fs.lstat(`${directory}/s`) !== null) fs.unlink(`${directory}/s`)
    fs.removeDirectory(directory)
  } catch {
    // Making it anew says what is in the way.
  }
}
