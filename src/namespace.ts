import { stateError } from './errors.js'
import { NAMESPACE_BYTES_MAX } from './limits.js'
import { quoteText, typeName } from './messages.js'
import { STORE_DIRECTORY } from './names.js'
import { isWellFormed, utf8Length } from './utf8.js'
import { isWindowsName, ON_WINDOWS } from './windows-names.js'

/**
 * Names that must not be taken under any spelling that some file system treats as the same: `.git` because git would run
 * what is written there.
 */
const RESERVED: ReadonlySet<string> = new Set([STORE_DIRECTORY, '.git'].map(foldCase))

/** HFS+ leaves these out when it compares names. */
const IGNORED_BY_HFS = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

/**
 * Returns the name of a namespace as it is, or throws: `INVALID_NAMESPACE`, or `TypeError` for what is not a string.
 * It is one path component, taken literally: nothing is trimmed or normalized.
 */
export function validateNamespace(name: unknown, onWindows: boolean = ON_WINDOWS): string {
  if (typeof name !== 'string') throw new TypeError(`a namespace is a string, not ${typeName(name)}`)
  const problem = findProblem(name, onWindows)
  if (problem === null) return name
  throw stateError('INVALID_NAMESPACE', `agent_state: namespace ${quoteText(name)} ${problem}`, {
    namespace: name,
  })
}

/** Whether a directory of the root can be a namespace. */
export function isNamespaceName(name: string): boolean {
  return findProblem(name, ON_WINDOWS) === null
}

function findProblem(name: string, onWindows: boolean): string | null {
  if (name === '') return 'must not be empty'
  if (name === '.' || name === '..') return 'must not be a relative directory'
  if (name.includes('/')) return 'must be a single path component (encodeName() turns any text into one)'
  if (name.includes('\0')) return 'must not contain a NUL character'
  if (!isWellFormed(name)) return 'must not contain a lone surrogate'
  const bytes = utf8Length(name)
  if (bytes > NAMESPACE_BYTES_MAX) return `is ${bytes} bytes long, at most ${NAMESPACE_BYTES_MAX} are allowed`
  if (RESERVED.has(foldCase(name.replace(IGNORED_BY_HFS, '')))) return 'is reserved'
  if (onWindows && !isWindowsName(name)) return 'is a name that Windows takes for something else'
  return null
}

/** Lower case alone would keep `ſ` apart from `s`, upper case alone the Kelvin sign from `k`. */
function foldCase(name: string): string {
  return name.toLowerCase().toUpperCase()
}
