/** What a process that is killed writes, so that the one that looks afterwards knows what must be there. */
import { incompressibleContents } from './contents.js'

export const KILLED_CALLERS = 64

const VALUE_BYTES = 256
const contents = incompressibleContents(VALUE_BYTES)

/** Even versions are written over each other, odd ones each to a new key. */
export function isRewritten(version: number): boolean {
  return version % 2 === 0
}

export function killedKey(caller: number, version: number): string {
  return isRewritten(version) ? `again-${caller}` : `new-${caller}-${version}`
}

export function killedContent(caller: number, version: number): Uint8Array {
  const content = Buffer.from(contents(caller * 7919 + version))
  content.writeUInt32LE(version, 0)
  return content
}

export function killedVersion(content: Uint8Array): number {
  return new DataView(content.buffer, content.byteOffset, content.byteLength).getUint32(0, true)
}
