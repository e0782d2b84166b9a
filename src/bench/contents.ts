/** Contents that no disk and no database can compress, the same in every run. */
import { createCipheriv } from 'node:crypto'

const POOL_BYTES_MIN = 4 * 1024 * 1024
/** A prime, so that contents begin anywhere. */
const STEP = 4099

export type Contents = (index: number) => Uint8Array

export function incompressibleContents(bytes: number): Contents {
  const poolBytes = Math.max(POOL_BYTES_MIN, 4 * bytes)
  const pool = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
    Buffer.alloc(poolBytes),
  )
  const starts = poolBytes - bytes
  return (index) => {
    const start = (index * STEP) % starts
    return pool.subarray(start, start + bytes)
  }
}
