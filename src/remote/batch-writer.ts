/**
 * BatchWriter owns what is to be sent in the next message: values in a row, and bytes.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Writer } from '../api.js'
import type { Batch } from './channel.js'
import { LARGE_BYTES } from './wire.js'

export class BatchWriter {
  #list: unknown[] = []
  #packed: Uint8Array[] = []
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

  /** They must not change until the batch is taken. */
  pushValue(value: Uint8Array): void {
    if (value.byteLength < LARGE_BYTES) {
      this.#packed.push(value)
      this.#packedBytes += value.byteLength
      return
    }
    const bytes = Buffer.allocUnsafeSlow(value.byteLength)
    bytes.set(value)
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
    for (const value of this.#packed) {
      bytes.set(value, offset)
      offset += value.byteLength
    }
    return bytes
  }
}
