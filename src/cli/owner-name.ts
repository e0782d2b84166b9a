import { formatTime } from './format-values.js'

/** What the owner of a root wrote about itself, in words; what it did not say is null. */
export function ownerName({
  pid,
  host,
  since,
}: {
  readonly pid: number | null
  readonly host: string | null
  readonly since: number | null
}): string {
  const from = since === null ? '' : ` since ${formatTime(since)}`
  return pid === null
    ? `another process${from}`
    : `process ${pid}${host === null ? '' : ` on ${host}`}${from}`
}
