/**
 * What travels over a local socket. Both sides begin with a preamble of 18 bytes, `agent-state\n` and three numbers of two
 * bytes each: the version of this framing, that of the protocol above it (wire.ts), and that of V8's serialization. Sides
 * that differ in any of them don't understand each other, and can say so.
 *
 * After it, frames: the length of the content and the number of a channel, four bytes each, and the content, a value as V8
 * serializes it. Number 0 is the connection; the others are ports that were sent in a message, numbered by who sent them,
 * odd ones by who connected and even ones by who listens. A frame without content says that the channel is closed. All
 * numbers are little-endian.
 */
import { Deserializer, serialize, Serializer } from 'node:v8'
import { MessagePort } from 'node:worker_threads'
import type { Limits } from '../../limits.js'
import { PROTOCOL } from '../wire.js'

const FRAMING = 1
const MAGIC = Buffer.from('agent-state\n', 'latin1')
export const PREAMBLE_BYTES = MAGIC.length + 6
const HEADER_BYTES = 8
/** A frame's length says no more. */
export const CONTENT_BYTES_MAX = 2 ** 32 - 1
const MIB = 1024 * 1024

/** Of what is neither a primitive, an array nor a plain object. */
const HOST_BYTES = 0
const HOST_PORT = 1

const TOO_LONG = 'a frame is longer than any message can be'

export interface Frame {
  readonly channel: number
  /** Null: the channel is closed. */
  readonly content: Uint8Array | null
}

/** What came is no frame, or none that is taken. */
export class MalformedFrame extends TypeError {}

export function makePreamble(): Buffer {
  const numbers = Buffer.alloc(6)
  for (const [index, version] of versions().entries()) numbers.writeUInt16LE(version, 2 * index)
  return Buffer.concat([MAGIC, numbers])
}

/** Null if the preamble is ours; otherwise both sides' versions. Throws `MalformedFrame` for what is no preamble. */
export function compareVersions(
  preamble: Buffer,
): { readonly found: string; readonly supported: string } | null {
  if (!preamble.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new MalformedFrame('what answers is no store of this library')
  }
  const numbers = preamble.subarray(MAGIC.length)
  const found = [0, 2, 4].map((offset) => numbers.readUInt16LE(offset)).join('.')
  const supported = versions().join('.')
  return found === supported ? null : { found, supported }
}

function versions(): readonly number[] {
  // The second byte of whatever V8 serializes is its version.
  return [FRAMING, PROTOCOL, serialize(null)[1]!]
}

/** What all that a connection may have under way takes at most, as it is serialized. */
export function messageBytesMax(limits: Limits): number {
  const values = Math.max(limits.connectionBytesMax, limits.queueBytesMax, limits.valueBytesMax)
  const operations = Math.max(limits.connectionOperationsMax, limits.queueOperationsMax)
  return values + operations * (4 * limits.keyBytesMax + 16_384) + 64 * MIB
}

/** The bytes of a frame. `giveNumber` is asked for the channel of every port in the value. Throws for what can't be sent. */
export function encodeFrame(
  channel: number,
  value: unknown,
  giveNumber: (port: MessagePort) => number,
  contentBytesMax = CONTENT_BYTES_MAX,
): Buffer {
  const serializer = new FrameSerializer(giveNumber)
  serializer.writeRawBytes(Buffer.alloc(HEADER_BYTES))
  serializer.writeHeader()
  serializer.writeValue(value)
  const bytes = serializer.releaseBuffer()
  const contentBytes = bytes.length - HEADER_BYTES
  if (contentBytes > contentBytesMax) throw new MalformedFrame(TOO_LONG)
  bytes.writeUInt32LE(contentBytes, 0)
  bytes.writeUInt32LE(channel, 4)
  return bytes
}

export function encodeClosed(channel: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt32LE(channel, 4)
  return bytes
}

/** The value of a frame's content. `givePort` is asked for the port of every channel that it names. Throws for any other bytes. */
export function decodeContent(content: Uint8Array, givePort: (channel: number) => MessagePort): unknown {
  const deserializer = new FrameDeserializer(content, givePort)
  deserializer.readHeader()
  return deserializer.readValue()
}

class FrameSerializer extends Serializer {
  readonly #giveNumber: (port: MessagePort) => number

  constructor(giveNumber: (port: MessagePort) => number) {
    super()
    this.#giveNumber = giveNumber
    views(this)._setTreatArrayBufferViewsAsHostObjects(true)
  }

  /** Called by V8. */
  _writeHostObject(object: unknown): void {
    if (object instanceof MessagePort) {
      this.writeUint32(HOST_PORT)
      this.writeUint32(this.#giveNumber(object))
    } else if (object instanceof Uint8Array) {
      this.writeUint32(HOST_BYTES)
      this.writeUint32(object.byteLength)
      this.writeRawBytes(object)
    } else {
      throw new MalformedFrame('bytes and ports are all that is sent besides plain values')
    }
  }

  /** Called by V8. */
  _getDataCloneError = MalformedFrame
}

class FrameDeserializer extends Deserializer {
  readonly #givePort: (channel: number) => MessagePort

  constructor(content: Uint8Array, givePort: (channel: number) => MessagePort) {
    super(content)
    this.#givePort = givePort
  }

  /** Called by V8. */
  _readHostObject(): unknown {
    switch (this.readUint32()) {
      case HOST_BYTES:
        // A copy: the frame's own memory is not to be kept for a part of it.
        return new Uint8Array(this.readRawBytes(this.readUint32()))
      case HOST_PORT:
        return this.#givePort(this.readUint32())
      default:
        throw new MalformedFrame('there is no such object')
    }
  }
}

/** Not in the types, though documented. */
function views(serializer: Serializer): { _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void } {
  return serializer as unknown as { _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void }
}

/** FrameReader owns what has come of a frame that is not complete. It never holds more than has come. */
export class FrameReader {
  readonly #contentBytesMax: number
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(contentBytesMax: number) {
    this.#contentBytesMax = contentBytesMax
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** So many bytes, if they have come. */
  take(count: number): Buffer | null {
    if (this.#bytes < count) return null
    const all = this.#join()
    this.#chunks = all.length === count ? [] : [all.subarray(count)]
    this.#bytes -= count
    return all.subarray(0, count)
  }

  /** The next frame, if it is complete. Throws `MalformedFrame` for one that is too long. */
  takeFrame(): Frame | null {
    if (this.#bytes < HEADER_BYTES) return null
    const header = this.#header()
    const length = header.readUInt32LE(0)
    if (length > this.#contentBytesMax) throw new MalformedFrame(TOO_LONG)
    const frame = this.take(HEADER_BYTES + length)
    if (frame === null) return null
    const channel = frame.readUInt32LE(4)
    return { channel, content: length === 0 ? null : frame.subarray(HEADER_BYTES) }
  }

  /** While a long frame comes, chunk by chunk, nothing is copied. */
  #header(): Buffer {
    if (this.#chunks[0]!.length < HEADER_BYTES) this.#join()
    return this.#chunks[0]!
  }

  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }
}
