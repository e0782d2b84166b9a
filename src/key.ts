import { stateError } from './errors.js'
import { COMPONENT_BYTES_MAX, LARGEST_LIMITS } from './limits.js'
import { quoteText, typeName } from './messages.js'
import { META_DIRECTORY, ORIGIN_TEMP_MARKER } from './names.js'
import { isWellFormed, isWhiteSpace, trimWhiteSpace, utf8Length } from './utf8.js'
import { isWindowsName, ON_WINDOWS } from './windows-names.js'

const DOT = 0x2e
const SLASH = 0x2f
const SMALL_A = 0x61
const ASCII_LAST = 0x7f

/** What both reserved names begin with. */
const RESERVED_START = '.agent_state_'

/**
 * The key in its normal form. White space at the ends of the text goes first, then empty and `.` components, so a name
 * that itself begins or ends with white space is reached as `./ name /.`, and a normal form is not to be normalized
 * again: use it as it is, or as `./${key}/.`. Throws `INVALID_KEY` for what
 * can't be a key, `LIMIT_EXCEEDED` for a normal form over `keyBytesMax`, `TypeError` for what is not a string.
 */
export function normalizeKey(raw: unknown, keyBytesMax: number, onWindows: boolean = ON_WINDOWS): string {
  if (typeof raw !== 'string') throw new TypeError(`a key is a string, not ${typeName(raw)}`)
  if (!onWindows && isNormalKey(raw, keyBytesMax)) return raw
  return normalizeAnyKey(raw, keyBytesMax, onWindows)
}

/** Throws unless it is a key, in its normal form. */
export function checkKey(key: string, keyBytesMax: number): void {
  // No owner of a root lets a key be longer, and none of its units takes less than a byte.
  if (key.length <= LARGEST_LIMITS.keyBytesMax) {
    // A name that begins or ends with white space would be trimmed.
    const isTrimmed = trimWhiteSpace(key).length === key.length
    if (normalizeKey(isTrimmed ? key : `./${key}/.`, keyBytesMax) === key) return
  }
  throw invalidKey(key, `key ${quoteText(key)} is not in normal form`)
}

/**
 * Recognises keys that are in normal form already, as almost all are, in one pass over their UTF-16 units. It says no to
 * a few others too (long ones, some with `.agent_state_` in them); those go the thorough way.
 */
function isNormalKey(key: string, keyBytesMax: number): boolean {
  const length = key.length
  if (length === 0 || isWhiteSpace(key.charCodeAt(0)) || isWhiteSpace(key.charCodeAt(length - 1)))
    return false
  let startsComponent = true
  let allUnits = 0
  for (let index = 0; index < length; index++) {
    const unit = key.charCodeAt(index)
    allUnits |= unit
    if (unit > SLASH || (unit > 0 && unit < DOT)) {
      startsComponent = false
    } else if (unit === SLASH) {
      if (startsComponent) return false
      startsComponent = true
    } else if (unit === DOT) {
      const next = key.charCodeAt(index + 1)
      if (startsComponent && (Number.isNaN(next) || next === SLASH || next === DOT)) return false
      if (next === SMALL_A && key.startsWith(RESERVED_START, index)) return false
      startsComponent = false
    } else {
      return false
    }
  }
  if (startsComponent) return false
  const bytes = allUnits <= ASCII_LAST ? length : isWellFormed(key) ? utf8Length(key) : Infinity
  return bytes <= COMPONENT_BYTES_MAX && bytes <= keyBytesMax
}

/** Holds no more than a normal form may be long, however long the text is. */
function normalizeAnyKey(raw: string, keyBytesMax: number, onWindows: boolean): string {
  const key = trimWhiteSpace(raw)
  if (key === '') throw invalidKey(key, 'key must be a non-empty relative path')
  if (key.startsWith('/')) throw invalidKey(key, `key ${quoteText(key)} must be relative`)
  const components: string[] = []
  let bytes = 0
  let start = 0
  while (start < key.length) {
    const slash = key.indexOf('/', start)
    const end = slash === -1 ? key.length : slash
    const component = key.slice(start, end)
    start = end + 1
    if (component === '' || component === '.') continue
    const problem = findProblem(component, onWindows)
    if (problem !== null) throw invalidKey(key, `key ${quoteText(key)} ${problem}`)
    bytes += utf8Length(component) + (bytes === 0 ? 0 : 1)
    if (bytes <= keyBytesMax) components.push(component)
  }
  if (bytes === 0) throw invalidKey(key, 'key must contain at least one path component')
  if (bytes > keyBytesMax) throw tooLong(key, keyBytesMax, bytes)
  return components.join('/')
}

/** The first three are the origin's, in its words; the others it left to the operating system. */
function findProblem(component: string, onWindows: boolean): string | null {
  if (component === '..') return 'must not escape the session root'
  if (component === META_DIRECTORY || component.includes(ORIGIN_TEMP_MARKER)) {
    return 'uses a reserved internal path'
  }
  if (component.includes('\0')) return 'must not contain a NUL character'
  if (!isWellFormed(component)) return 'must not contain a lone surrogate'
  const bytes = utf8Length(component)
  if (bytes > COMPONENT_BYTES_MAX) {
    return `has a component of ${bytes} bytes, at most ${COMPONENT_BYTES_MAX} are allowed`
  }
  if (onWindows && !isWindowsName(component)) return 'has a component that Windows takes for something else'
  return null
}

function invalidKey(key: string, message: string): Error {
  return stateError('INVALID_KEY', `agent_state: ${message}`, { key })
}

function tooLong(key: string, max: number, actual: number): Error {
  return stateError(
    'LIMIT_EXCEEDED',
    `agent_state: key ${quoteText(key)} is ${actual} bytes long, at most ${max} are allowed (limits.keyBytesMax)`,
    { key, limit: 'keyBytesMax', max, actual },
  )
}
