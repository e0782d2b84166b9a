/**
 * Contents for traces, which have none: bytes that depend on the blob's number and its size only, and that can't be
 * compressed, so that a disk or file system can't make them cheaper than real ones. It is the key stream of AES in
 * counter mode, the blob's number being the nonce: as fast as copying memory.
 */
import { createCipheriv, createHash } from 'node:crypto'
import type { Content, Identifier } from './trace.js'

const KEY = Buffer.from('agent-state blob', 'latin1')

export function generateContent({ blob, size }: Content): Uint8Array {
  const cipher = createCipheriv('aes-128-ctr', KEY, startingCounter(blob))
  return cipher.update(Buffer.alloc(size))
}

/** The lower half counts the blocks of one content. */
function startingCounter(blob: Identifier): Uint8Array {
  const counter = Buffer.alloc(16)
  if (typeof blob === 'number') counter.writeBigUInt64BE(BigInt(blob))
  else createHash('sha256').update(blob).digest().copy(counter, 0, 0, 8)
  return counter
}
