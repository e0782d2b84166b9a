import type { ConflictPolicy } from './api.js'
import { quoteText, suggestName, typeName } from './messages.js'
import { trimWhiteSpace } from './utf8.js'

const POLICIES: ReadonlyMap<string, ConflictPolicy> = new Map<string, ConflictPolicy>([
  ['ignore', 'ignore'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['off', 'ignore'],
  ['warning', 'warn'],
  ['strict', 'error'],
  ['', 'ignore'],
])

/**
 * The policy that a text stands for, as in a configuration file: the three names, `off`, `warning`, `strict`, and an
 * empty text for `ignore`. White space around it and the case of ASCII letters don't count. Throws `RangeError` for any
 * other text.
 *
 * @example
 * const conflictPolicy = parseConflictPolicy(process.env['CONFLICT_POLICY'] ?? '')
 */
export function parseConflictPolicy(text: string): ConflictPolicy {
  if (typeof text !== 'string') throw new TypeError(`a conflict policy is a string, not ${typeName(text)}`)
  const name = foldPolicyName(text)
  const policy = POLICIES.get(name)
  if (policy !== undefined) return policy
  const names = [...POLICIES.keys()].filter((known) => known !== '')
  throw new RangeError(`agent_state: unknown conflict policy ${quoteText(name)}; ${suggestName(name, names)}`)
}

/**
 * Checks the value of a `conflictPolicy` option, which is one of the three names, exactly as it will appear in events.
 * For an alias the message says which name it stands for.
 */
export function checkConflictPolicy(value: unknown): ConflictPolicy {
  if (value === 'ignore' || value === 'warn' || value === 'error') return value
  if (typeof value !== 'string') {
    throw new TypeError(`conflictPolicy is 'ignore', 'warn' or 'error', not ${typeName(value)}`)
  }
  const policy = parseConflictPolicy(value)
  throw new RangeError(
    `agent_state: unknown conflict policy ${quoteText(value)}; did you mean '${policy}'? ` +
      '(parseConflictPolicy() translates aliases)',
  )
}

function foldPolicyName(text: string): string {
  return trimWhiteSpace(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
