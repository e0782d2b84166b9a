/**
 * BatchReader reads a batch from its beginning to its end. It trusts nothing: what does not have the shape that the
 * protocol gives it is a `MalformedBatch`, and there are no offsets in a batch that could point elsewhere.
 */
import { MessagePort } from 'node:worker_threads'
import type { Writer } from '../api.js'
import { LARGE_BYTES } from './wire.js'

export class MalformedBatch extends TypeError {}

type Field = 'writerId' | 'stageId' | 'sessionId' | 'workerId'
const FIELDS: readonly Field[] = ['writerId', 'stageId', 'sessionId', 'workerId']

export class BatchReader {
  readonly #list: readonly unknown[]
  readonly #packed: Uint8Array | null
  readonly #large: readonly unknown[]
  readonly #ports: readonly unknown[]
  #next = 0
  #packedNext = 0
  #largeNext = 0
  #portsNext = 0

  constructor(batch: unknown) {
    const [list, packed, large, ports] = Array.isArray(batch) ? (batch as unknown[]) : []
    if (!Array.isArray(list) || !Array.isArray(large) || !Array.isArray(ports)) {
      throw new MalformedBatch('a batch has a list, bytes, buffers and ports')
    }
    if (packed !== null && !isOwnBytes(packed)) throw new MalformedBatch('packed bytes must be bytes')
    this.#list = list
    this.#packed = packed
    this.#large = large
    this.#ports = ports
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#list.length
  }

  next(): unknown {
    if (this.isAtEnd) throw new MalformedBatch('a batch ends in the middle of an entry')
    return this.#list[this.#next++]
  }

  integer(min: number, max: number): number {
    const value = this.next()
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new MalformedBatch(`an integer from ${min} to ${max} is missing`)
  }

  id(): number {
    return this.integer(1, Number.MAX_SAFE_INTEGER)
  }

  /** Null for nothing. */
  optionalNumber(): number | null {
    if (this.#list[this.#next] !== null) return this.integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    this.next()
    return null
  }

  flag(): boolean {
    const value = this.next()
    if (typeof value === 'boolean') return value
    throw new MalformedBatch('true or false is missing')
  }

  text(): string {
    const value = this.next()
    if (typeof value === 'string') return value
    throw new MalformedBatch('a text is missing')
  }

  optionalText(): string | undefined {
    const value = this.next()
    if (value === undefined || typeof value === 'string') return value
    throw new MalformedBatch('a text or nothing is missing')
  }

  /**
   * A text that names are compared with, or nothing. No name is longer than `lengthMax`, so what follows makes no difference;
   * it is cut off, as whoever keeps the text would keep it too.
   */
  comparedText(lengthMax: number): string | undefined {
    const text = this.optionalText()
    if (text === undefined || text.length <= lengthMax) return text
    // A slice alone would keep the whole text in memory.
    return Buffer.from(text.slice(0, lengthMax + 1), 'utf16le').toString('utf16le')
  }

  optionalInteger(min: number): number | undefined {
    if (this.#list[this.#next] !== undefined) return this.integer(min, Number.MAX_SAFE_INTEGER)
    this.next()
    return undefined
  }

  /** A revision, null for a missing key, undefined for nothing said. */
  condition(): number | null | undefined {
    const value = this.#list[this.#next]
    if (value !== undefined && value !== null) return this.integer(0, Number.MAX_SAFE_INTEGER)
    this.next()
    return value
  }

  /** Four texts or nothing each; null if it is nobody. */
  writer(): Writer | null {
    let writer: { -readonly [Name in Field]?: string } | null = null
    for (const field of FIELDS) {
      const text = this.optionalText()
      if (text === undefined) continue
      writer ??= {}
      writer[field] = text
    }
    return writer
  }

  /** At most so many texts, or null. */
  texts(countMax: number): readonly string[] | null {
    const value = this.next()
    if (value === null) return null
    // A copy has no holes, which `every` would pass over.
    const texts: unknown[] =
      Array.isArray(value) && value.length <= countMax ? [...(value as unknown[])] : [undefined]
    if (texts.every((text) => typeof text === 'string')) return texts
    throw new MalformedBatch(`a list of at most ${countMax} texts is missing`)
  }

  /** A small value is a view on the whole batch's bytes; a large one is alone in its buffer. */
  value(size: number): Uint8Array {
    if (size >= LARGE_BYTES) return this.#largeValue(size)
    const start = this.#packedNext
    if (size === 0) return new Uint8Array(0)
    if (this.#packed === null || size > this.#packed.byteLength - start) {
      throw new MalformedBatch('there are fewer bytes than were announced')
    }
    this.#packedNext += size
    return this.#packed.subarray(start, start + size)
  }

  port(): MessagePort {
    const port = this.#ports[this.#portsNext++]
    if (port instanceof MessagePort) return port
    throw new MalformedBatch('a port is missing')
  }

  #largeValue(size: number): Uint8Array {
    const buffer = this.#large[this.#largeNext++]
    if (!isOwnBuffer(buffer) || buffer.byteLength !== size) {
      throw new MalformedBatch('a buffer does not have the size that was announced')
    }
    return new Uint8Array(buffer)
  }
}

/** Memory that is shared with another thread could change after it was checked. */
function isOwnBuffer(value: unknown): value is ArrayBuffer {
  return value instanceof ArrayBuffer && (value as { resizable?: boolean }).resizable !== true
}

function isOwnBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && isOwnBuffer(value.buffer)
}
