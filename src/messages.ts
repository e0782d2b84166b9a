/** Wording that error messages share. */
import { nearestName } from './nearest-name.js'

const QUOTED_LENGTH_MAX = 200
const HALF_A_PAIR_AT_END = /[\ud800-\udbff]$/

/** The text in single quotes, cut where it is too long for a message. */
export function quoteText(text: string): string {
  if (text.length <= QUOTED_LENGTH_MAX) return `'${text}'`
  return `'${text.slice(0, QUOTED_LENGTH_MAX).replace(HALF_A_PAIR_AT_END, '')}…'`
}

/** What a value is, for messages that can't show the value itself. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'undefined') return 'undefined'
  if (typeof value !== 'object') return `a ${typeof value}`
  const { constructor } = value
  const className = typeof constructor === 'function' ? constructor.name : ''
  return className === '' || className === 'Object' ? 'an object' : `an instance of ${className}`
}

/** Names the known name that is most like the given one, or all of them if none is. */
export function suggestName(name: string, known: Iterable<string>): string {
  const names = [...known]
  const nearest = nearestName(name, names)
  return nearest === null ? `known are ${names.join(', ')}` : `did you mean '${nearest}'?`
}

/** What was thrown, for a message. Whatever it is, telling of it throws nothing. */
export function thrownText(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    return 'what was thrown has no text'
  }
}
