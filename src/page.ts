import type { Page } from './api.js'
import { compareUtf8 } from './utf8.js'

/** The part of a sorted list of names that a page asks for. */
export function pageOf(sorted: readonly string[], page: Page | undefined): string[] {
  if (page === undefined) return [...sorted]
  const { prefix = '', after, limit = Infinity, reverse = false } = page
  const start = firstAtLeast(sorted, prefix)
  let end = start
  if (prefix === '') end = sorted.length
  else while (end < sorted.length && sorted[end]!.startsWith(prefix)) end++
  const names: string[] = []
  const wanted = Math.min(limit, end - start)
  if (reverse) {
    const from = after === undefined ? end : Math.min(end, firstAtLeast(sorted, after))
    for (let i = from - 1; i >= start && names.length < wanted; i--) names.push(sorted[i]!)
  } else {
    let from = after === undefined ? start : Math.max(start, firstAtLeast(sorted, after))
    if (sorted[from] === after) from++
    for (let i = from; i < end && names.length < wanted; i++) names.push(sorted[i]!)
  }
  return names
}

/** Index of the first name that is not before this one. */
function firstAtLeast(sorted: readonly string[], name: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareUtf8(sorted[middle]!, name) < 0) low = middle + 1
    else high = middle
  }
  return low
}
