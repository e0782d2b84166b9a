import { describe, expect, test } from 'vitest'
import { escapeUnsafe, printable } from '../../src/cli/printable.js'

describe('a name on a terminal', () => {
  test.each(['key', 'a b', 'ünï/çødé', '\u{1f468}\u200d\u{1f469}', 'back\\slash', "it's", 'a"b'])(
    'is shown as it is: %s',
    (name) => {
      expect(printable(name)).toBe(name)
    },
  )

  test.each([
    '\u001b[31m',
    '\n',
    '\r',
    '\0',
    '\u007f',
    '\u0085',
    '\u009b1m',
    '\u2028',
    '\u202e',
    '\u2066',
    '"quoted"',
  ])('that could do harm, or be taken for another, is shown in quotes: %j', (name) => {
    const shown = printable(`x${name}`.replace('x"', '"'))
    expect(shown).toMatch(/^"[\x20-\x7e]*"$/)
    expect(JSON.parse(shown)).toBe(`x${name}`.replace('x"', '"'))
  })

  test('of two different ones is never shown as the same', () => {
    const names = ['a', '"a"', 'a\n', 'a\\n', '"a\\n"', '\\', '"', '""', '\u0001', '\\u0001']
    expect(new Set(names.map(printable)).size).toBe(names.length)
  })

  test('in a message stays on one line', () => {
    expect(escapeUnsafe('a\nb\u001b]0;x\u0007 "c" \\')).toBe('a\\nb\\u001b]0;x\\u0007 "c" \\')
  })
})
