import { NAMESPACE_BYTES_MAX } from './limits.js'
import { quoteText, typeName } from './messages.js'
import { isDeviceName } from './windows-names.js'

/**
 * How a text is written as a name. Everything else stands for itself, so ordinary ids stay readable.
 *
 *     +a       the capital letter A: names that differ in case only would be one on some file systems
 *     %2f      a UTF-16 code unit below 256 that is not a letter a-z, a digit, or one of . _ - @ =
 *     %u4e2d   any other code unit, also half of a pair
 *     %        the empty text
 *
 * A dot or hyphen at the beginning, a dot at the end, a dot before `agent_state`, and the first letter of a device
 * name of Windows are written as %xx too.
 */
const LITERAL = /[^a-z0-9._@=-]/g
const ESCAPE = /\+([a-z])|%u([0-9a-f]{4})|%([0-9a-f]{2})/g
const SPECIAL_PLACE = /^[.-]|\.(?=agent_state)|\.$/g
const EMPTY = '%'

/**
 * Any text as a name that is valid as a namespace and as a component of a key, on every platform. Different texts give
 * different names, also where a file system ignores case or normalizes. `decodeName` gives the text back. Throws
 * `RangeError` if the name would be longer than 200 bytes.
 *
 * @example
 * encodeName('thread/42') // 'thread%2f42'
 */
export function encodeName(text: string): string {
  if (typeof text !== 'string') throw new TypeError(`encodeName takes a string, not ${typeName(text)}`)
  const name = text.length > NAMESPACE_BYTES_MAX ? null : encode(text)
  if (name !== null && name.length <= NAMESPACE_BYTES_MAX) return name
  throw new RangeError(
    `${quoteText(text)} is too long for a name: encoded it takes more than ${NAMESPACE_BYTES_MAX} bytes`,
  )
}

/** The text that `encodeName` turned into this name. Throws `RangeError` for a name that it never gives. */
export function decodeName(name: string): string {
  if (typeof name !== 'string') throw new TypeError(`decodeName takes a string, not ${typeName(name)}`)
  const text = name.length > NAMESPACE_BYTES_MAX ? null : decode(name)
  if (text !== null && encode(text) === name) return text
  throw new RangeError(`${quoteText(name)} is not a name that encodeName gives`)
}

function encode(text: string): string {
  if (text === '') return EMPTY
  const name = text.replace(LITERAL, encodeUnit).replace(SPECIAL_PLACE, encodeUnit)
  return isDeviceName(name) ? `${hexadecimal(name)}${name.slice(1)}` : name
}

function decode(name: string): string {
  if (name === EMPTY) return ''
  return name.replace(ESCAPE, (_, letter?: string, long?: string, short?: string) =>
    letter === undefined
      ? String.fromCharCode(Number.parseInt(long ?? short ?? '', 16))
      : letter.toUpperCase(),
  )
}

function encodeUnit(unit: string): string {
  return unit >= 'A' && unit <= 'Z' ? `+${unit.toLowerCase()}` : hexadecimal(unit)
}

function hexadecimal(unit: string): string {
  const digits = unit.charCodeAt(0).toString(16)
  return digits.length > 2 ? `%u${digits.padStart(4, '0')}` : `%${digits.padStart(2, '0')}`
}
