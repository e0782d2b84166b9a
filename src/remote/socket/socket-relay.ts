/**
 * SocketRelay owns one local socket and the ports that it stands for: it carries what comes out of a port to the other
 * process and puts what comes from there into a port. So what is above knows ports only, and everything that is said of a
 * connection to another thread holds for one to another process.
 *
 * - I9: what lies in here is bounded, because both sides of a connection send no more than their credits allow until it is
 *   taken. A side that takes nothing is not listened to either, where `pausesAtBytes` says so: what it sends would have
 *   to be answered.
 * - I11: when the socket ends, by whatever cause, every port is closed; when all ports are closed, the socket ends.
 * - Whoever says through a port what can't be sent loses that port; the others may belong to other threads.
 * - Nothing in here keeps the process alive, except while `finish` waits.
 */
import type { Socket } from 'node:net'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import {
  CONTENT_BYTES_MAX,
  decodeContent,
  encodeClosed,
  encodeFrame,
  MalformedFrame,
} from './socket-frames.js'
import type { Frame, FrameReader } from './socket-frames.js'

export interface RelaySettings {
  readonly socket: Socket
  readonly side: 'connects' | 'listens'
  /** May have begun to fill behind the preamble. */
  readonly reader: FrameReader
  /** With so many bytes that the other side does not take, nothing more is read. */
  readonly pausesAtBytes: number
  /** Called when the first message has been put into its port. */
  readonly onFirst?: () => void
}

/** More ports than this at once are not sent by mistake, and not taken. */
const CHANNELS_MAX = 10_000

const CONNECTION = 0

export class SocketRelay {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #pausesAtBytes: number
  readonly #ports = new Map<number, MessagePort>()
  readonly #ended: Promise<void>
  /** What the other side takes of one message. */
  #contentBytesMax = CONTENT_BYTES_MAX
  #nextOwn: number
  /** The last number that the other side gave. */
  #lastOther: number
  #onFirst: (() => void) | undefined
  #isOver = false
  #cause: unknown

  constructor({ socket, side, reader, pausesAtBytes, onFirst }: RelaySettings) {
    this.#socket = socket
    this.#reader = reader
    this.#pausesAtBytes = pausesAtBytes
    this.#onFirst = onFirst
    this.#nextOwn = side === 'connects' ? 1 : 2
    this.#lastOther = side === 'connects' ? 0 : -1
    this.#ended = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', (error) => (this.#cause ??= error))
    socket.on('end', () => this.#lost())
    socket.on('close', () => this.#lost())
    socket.on('drain', () => socket.resume())
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.resume()
    socket.unref()
  }

  /** Why the socket has ended, if it was for a reason; resolves when it has. */
  async cause(): Promise<unknown> {
    await this.#ended
    return this.#cause
  }

  setContentBytesMax(bytes: number): void {
    this.#contentBytesMax = bytes
  }

  /** Serves the port as the connection itself, and takes what has come behind the preamble. */
  start(port: MessagePort): void {
    this.#carry(CONNECTION, port)
    this.#takeFrames()
  }

  /**
   * To be called when all ports are about to be closed. Resolves when the other side has heard everything and has gone, or
   * after so many milliseconds. Whoever ends before makes it likely that the other side finds the socket broken, and does not
   * read what lies in it.
   */
  async finish(lingerMs: number): Promise<void> {
    const socket = this.#socket
    if (socket.destroyed) return
    socket.ref()
    for (const port of this.#ports.values()) port.ref()
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    await this.#ended
    clearTimeout(timer)
  }

  destroy(cause: unknown): void {
    this.#cause ??= cause
    this.#socket.destroy()
    this.#lost()
  }

  #carry(channel: number, port: MessagePort): void {
    this.#ports.set(channel, port)
    port.on('message', (message: unknown) => this.#send(channel, message))
    port.on('messageerror', () => port.close())
    port.on('close', () => this.#closed(channel))
    port.unref()
  }

  #send(channel: number, message: unknown): void {
    if (this.#isOver || !this.#ports.has(channel)) return
    const given: number[] = []
    const giveNumber = (port: MessagePort): number => {
      const number = this.#giveNumber(port)
      given.push(number)
      return number
    }
    try {
      this.#write(encodeFrame(channel, message, giveNumber, this.#contentBytesMax))
    } catch (error) {
      if (channel === CONNECTION) this.destroy(error)
      else this.#refuse(channel, given)
    }
  }

  #giveNumber(port: MessagePort): number {
    if (this.#ports.size >= CHANNELS_MAX) throw new MalformedFrame('there are more ports than are taken')
    const number = this.#nextOwn
    this.#nextOwn += 2
    this.#carry(number, port)
    return number
  }

  /** The ports that were in the message are closed without a word: the other side has not heard of their numbers. */
  #refuse(channel: number, given: readonly number[]): void {
    for (const number of given) this.#drop(number)
    this.#ports.get(channel)?.close()
    this.#closed(channel)
  }

  #drop(channel: number): void {
    const port = this.#ports.get(channel)
    this.#ports.delete(channel)
    port?.close()
  }

  #closed(channel: number): void {
    if (!this.#ports.delete(channel) || this.#isOver) return
    this.#write(encodeClosed(channel))
    this.#endIfUnused()
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return
    this.#socket.write(bytes)
    if (this.#socket.writableLength >= this.#pausesAtBytes) this.#socket.pause()
  }

  #received(chunk: Buffer): void {
    if (this.#isOver) return
    this.#reader.push(chunk)
    this.#takeFrames()
  }

  #takeFrames(): void {
    try {
      for (let frame = this.#reader.takeFrame(); frame !== null; frame = this.#reader.takeFrame()) {
        this.#take(frame)
      }
    } catch (error) {
      this.destroy(error)
    }
  }

  #take({ channel, content }: Frame): void {
    const port = this.#ports.get(channel)
    if (port === undefined) {
      // What crossed the closing of a channel has nowhere to go; other numbers never were one.
      if (channel === CONNECTION || channel <= this.#lastOther || channel < this.#nextOwn) return
      throw new MalformedFrame('there is no such channel')
    }
    if (content === null) {
      this.#drop(channel)
      this.#endIfUnused()
      return
    }
    const received: MessagePort[] = []
    const message = decodeContent(content, (number) => {
      const made = this.#receivePort(number)
      received.push(made)
      return made
    })
    port.postMessage(message, received)
    this.#onFirst?.()
    this.#onFirst = undefined
  }

  #receivePort(number: number): MessagePort {
    const isOthers = (number & 1) !== (this.#nextOwn & 1)
    if (!isOthers || number <= this.#lastOther || this.#ports.size >= CHANNELS_MAX) {
      throw new MalformedFrame('a port is named that there can not be')
    }
    this.#lastOther = number
    const { port1, port2 } = new MessageChannel()
    this.#carry(number, port1)
    return port2
  }

  #endIfUnused(): void {
    if (this.#ports.size === 0) this.#socket.end()
  }

  #lost(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const port of this.#ports.values()) port.close()
    this.#ports.clear()
    this.#socket.end()
  }
}
