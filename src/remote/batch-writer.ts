/**
 * BatchWriter owns what is to be sent in the next message: values in a row, and bytes. Texts are encoded to UTF-8 here,
 * once, straight into the buffer that crosses.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Value, Writer } from '../api.js'
import type { Batch } from './channel.js'
import { LARGE_BYTES } from './wire.js'

interface Packed {
  readonly value: Value
  readonly size: number
}

export class BatchWriter {
  #list: unknown[] = []
  #packed: Packed[] = []
  #packedBytes = 0
  #large: ArrayBuffer[] = []
  #ports: MessagePort[] = []

  get isEmpty(): boolean {
    return this.#list.length === 0
  }

  push(...values: readonly unknown[]): void {
    this.#list.push(...values)
  }

  pushWriter(writer: Writer | null): void {
    this.#list.push(writer?.writerId, writer?.stageId, writer?.sessionId, writer?.workerId)
  }

  /** The bytes of a value whose size is known. They must not change until the batch is taken. */
  pushValue(value: Value, size: number): void {
    if (size < LARGE_BYTES) {
      this.#packed.push({ value, size })
      this.#packedBytes += size
      return
    }
    const bytes = Buffer.allocUnsafeSlow(size)
    put(value, bytes, 0)
    this.#large.push(bytes.buffer)
  }

  pushPort(port: MessagePort): void {
    this.#ports.push(port)
  }

  /** What was pushed so far; the next batch begins empty. */
  take(): Batch {
    const batch: Batch = [this.#list, this.#pack(), this.#large, this.#ports]
    this.#list = []
    this.#packed = []
    this.#packedBytes = 0
    this.#large = []
    this.#ports = []
    return batch
  }

  #pack(): Uint8Array | null {
    if (this.#packedBytes === 0) return null
    const bytes = Buffer.allocUnsafeSlow(this.#packedBytes)
    let offset = 0
    for (const { value, size } of this.#packed) {
      put(value, bytes, offset)
      offset += size
    }
    return bytes
  }
}

function put(value: Value, target: Buffer, at: number): void {
  if (typeof value === 'string') target.write(value, at, 'utf8')
  else target.set(value, at)
}
