/** How numbers, times and identities are printed for people. */
import { displayName, type Writer } from '../index.js'

/** In UTC, to the second. */
export function formatTime(ms: number): string {
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? '-' : `${time.toISOString().slice(0, 19)}Z`
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

export function formatBytes(bytes: number): string {
  let unit = 0
  let value = bytes
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return unit === 0 ? formatCount(bytes, 'byte') : `${value.toFixed(1)} ${UNITS[unit]}`
}

export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}

/** Who wrote, or `-`. */
export function formatWriter(writer: Writer | null): string {
  return writer === null ? '-' : displayName(writer)
}
