/** What a process used up: processor time, bytes written, flushes. Measured before and after, the difference counts. */
import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { promisify } from 'node:util'

export interface Usage {
  /** Of all threads, in microseconds. */
  readonly cpuUs: number
  /** Counted by the preloaded shim; NaN without it. */
  readonly flushes: number
  /** Bytes that reached the device, and flushes that it completed, for whomever; NaN where the system does not tell. */
  readonly deviceBytes: number
  readonly deviceFlushes: number
}

export function usageOf(folder: string): Usage {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system, flushes: countedFlushes(), ...deviceUsage(folder) }
}

export function usedBetween(before: Usage, after: Usage): Usage {
  return {
    cpuUs: after.cpuUs - before.cpuUs,
    flushes: after.flushes - before.flushes,
    deviceBytes: after.deviceBytes - before.deviceBytes,
    deviceFlushes: after.deviceFlushes - before.deviceFlushes,
  }
}

/** Has the system write what it was given, so that the device's statistics show it. */
export async function writeOut(folder: string): Promise<void> {
  if (process.platform === 'linux') await promisify(execFile)('sync', ['-f', folder])
}

function countedFlushes(): number {
  const path = process.env['FLUSH_SHIM_COUNTS']
  return path === undefined ? Number.NaN : Number(readFileSync(path).readBigUInt64LE(0))
}

const SECTOR_BYTES = 512

/**
 * From the device's statistics: its seventh number is sectors written, its sixteenth is flushes. A partition counts no
 * flushes, the disk that it is on does. What the system says of a process (/proc/self/io) is of no use: it counts the
 * whole of a large page as written when one byte of it was changed.
 */
function deviceUsage(folder: string): Pick<Usage, 'deviceBytes' | 'deviceFlushes'> {
  const { dev } = statSync(folder)
  const device = `/sys/dev/block/${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
  const numbers = (textOf(`${device}/../stat`) || textOf(`${device}/stat`)).trim().split(/\s+/).map(Number)
  return {
    deviceBytes: (numbers[6] ?? Number.NaN) * SECTOR_BYTES,
    deviceFlushes: numbers[15] ?? Number.NaN,
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Blocks that the folder takes on the disk. */
export async function diskBytes(folder: string): Promise<number> {
  const { stdout } = await promisify(execFile)('du', ['-sk', folder])
  return Number.parseInt(stdout, 10) * 1024
}

/**
 * The most memory that this process ever took. On Linux `maxRSS` starts with what the parent took, also in a new program;
 * the system's own count does not.
 */
export function peakMemoryMiB(): number {
  const status = /^VmHWM:\s*(\d+) kB$/m.exec(textOf('/proc/self/status'))
  return Number(status?.[1] ?? process.resourceUsage().maxRSS) / 1024
}
