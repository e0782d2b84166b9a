/** The last moment that a `Date` can hold. */
const LAST_MS = 8.64e15

/**
 * Milliseconds since 1970, as what is written down needs them: whole, and neither below zero, which the metadata's other
 * readers refuse, nor beyond what a `Date` can hold. Only for times that are shown; waiting goes by a clock that nobody sets.
 */
export function wallClockMs(): number {
  const nowMs = Math.floor(Date.now())
  return nowMs > 0 ? Math.min(nowMs, LAST_MS) : 0
}

/** For those who read it. */
export function inUtc(ms: number): string {
  return new Date(ms).toISOString()
}
