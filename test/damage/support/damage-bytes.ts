/** Ways in which the bytes of a file can go wrong while nobody looks. */
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { countOf } from '../../helpers/tally.js'

export type Damage = (bytes: Buffer) => Buffer

export function flipBit(bit: number): Damage {
  return (bytes) => {
    const damaged = Buffer.from(bytes)
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    return damaged
  }
}

/** What a disk gives for a sector that it can't read any more, or never wrote. */
export function zeros(start: number, end: number): Damage {
  return (bytes) => Buffer.from(bytes).fill(0, start, end)
}

export function truncateTo(size: number): Damage {
  return (bytes) => bytes.subarray(0, size)
}

/** What follows moves up. */
export function cutOut(start: number, end: number): Damage {
  return (bytes) => Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
}

export function insertAt(start: number, inserted: Uint8Array): Damage {
  return (bytes) => Buffer.concat([bytes.subarray(0, start), inserted, bytes.subarray(start)])
}

/** Changes a file in place and leaves its time as it was, as a disk would. */
export function damageFile(path: string, damage: Damage): void {
  countOf('files damaged', 1)
  const { mtimeMs } = statSync(path)
  writeFileSync(path, damage(readFileSync(path)))
  setTime(path, mtimeMs)
}

export function setTime(path: string, atMs: number): void {
  const seconds = (atMs + 0.0005) / 1000
  utimesSync(path, seconds, seconds)
}
