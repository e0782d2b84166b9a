import { Buffer } from 'node:buffer'

/** Keeps nothing from one call to the next. Despite its name `ignoreBOM` is what keeps a byte order mark. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Node 20 has it; the ES2023 types don't. */
interface WellFormedness {
  isWellFormed(): boolean
}

/** False for a string with a lone surrogate, which UTF-8 can't hold. */
export function isWellFormed(text: string): boolean {
  return (text as string & WellFormedness).isWellFormed()
}

/** The engine keeps shorter parts of a text apart from it. */
const SHARED_LENGTH_MIN = 13

/** The same text, well-formed, without the longer one that it may have been cut out of: it would keep all of that in memory. */
export function ownText(text: string): string {
  return text.length < SHARED_LENGTH_MIN ? text : Buffer.from(text, 'utf8').toString('utf8')
}

/** Bytes that a well-formed text takes in UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/**
 * The order of the texts' UTF-8 bytes: negative, zero or positive. It differs from that of JavaScript's `<` only where
 * a character outside the basic plane meets one from U+E000 to U+FFFF. Both texts are well-formed.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return byteRank(left) - byteRank(right)
  }
  return a.length - b.length
}

/** Moves the surrogates, which stand for the highest code points, above the other code units. */
function byteRank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/**
 * Removes Unicode White_Space from both ends. `String.prototype.trim` differs: it keeps U+0085 and takes U+FEFF away.
 * https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt
 */
export function trimWhiteSpace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start++
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end--
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

/** Whether the UTF-16 unit is a character with the property White_Space; all of them are one unit long. */
export function isWhiteSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d)
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0
  if (unit <= 0x200a) return unit >= 0x2000 || unit === 0x1680
  return unit === 0x2028 || unit === 0x2029 || unit === 0x202f || unit === 0x205f || unit === 0x3000
}

/** The text, a byte order mark included, or null if the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return null
    throw error
  }
}
