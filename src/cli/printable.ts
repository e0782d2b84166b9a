/**
 * What would move the cursor, change colours or turn the direction of writing on a terminal: control characters, line
 * separators and the marks for bidirectional text. A key may contain them all.
 */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/** The text as it is, or, as git prints such names, in double quotes and escaped as in JSON. */
export function printable(text: string): string {
  if (!text.startsWith('"') && text.search(UNSAFE) === -1) return text
  return escapeUnsafe(JSON.stringify(text))
}

/** For messages, where it need not be told from what it stands for: everything stays on one line. */
export function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const json = JSON.stringify(character).slice(1, -1)
    return json === character ? `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}` : json
  })
}
