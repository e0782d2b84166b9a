import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareUtf8,
  decodeUtf8,
  isWellFormed,
  isWhiteSpace,
  trimWhiteSpace,
  utf8Length,
} from '../src/utf8.js'

/** Texts of all planes, with many that share a beginning. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '/',
      '\u007f',
      '\u0080',
      '\u07ff',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '😀',
      '\u{10ffff}',
    ),
  }),
)

/** Unicode 15 PropList.txt: White_Space, every range of it. */
const WHITE_SPACE = [
  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005,
  0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
]

describe('compareUtf8', () => {
  test('orders as the bytes do, for any two well-formed texts', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
      { numRuns: 2000 },
    )
  })
  test('puts U+FF5E before U+1F600, which the order of UTF-16 units does not', () => {
    expect(compareUtf8('～', '😀')).toBeLessThan(0)
    expect(['😀', '～'].sort()).toEqual(['😀', '～'])
    expect(['😀', '～'].sort(compareUtf8)).toEqual(['～', '😀'])
  })
  test('puts a beginning before what it begins, and finds equal texts equal', () => {
    expect(compareUtf8('a', 'a/b')).toBeLessThan(0)
    expect(compareUtf8('a/b', 'a')).toBeGreaterThan(0)
    expect(compareUtf8('', '')).toBe(0)
    expect(compareUtf8('😀', '😀')).toBe(0)
  })
})

describe('trimWhiteSpace', () => {
  test('takes exactly the characters of the Unicode property White_Space', () => {
    const found: number[] = []
    for (let unit = 0; unit <= 0xffff; unit++) {
      if (isWhiteSpace(unit)) found.push(unit)
    }
    expect(found).toEqual(WHITE_SPACE)
    const byEngine = Array.from({ length: 0x10000 }, (_, unit) => unit).filter((unit) =>
      /\p{White_Space}/u.test(String.fromCharCode(unit)),
    )
    expect(found).toEqual(byEngine)
  })
  test('removes them from both ends only', () => {
    for (const unit of WHITE_SPACE) {
      const space = String.fromCharCode(unit)
      expect(trimWhiteSpace(`${space}${space}a${space}b${space}`)).toBe(`a${space}b`)
      expect(trimWhiteSpace(space)).toBe('')
    }
  })
  test('keeps what JavaScript trims and Unicode does not count: a byte order mark, a zero width space', () => {
    expect(trimWhiteSpace('\ufeffa\u200b')).toBe('\ufeffa\u200b')
    expect(trimWhiteSpace('')).toBe('')
  })
})

describe('utf8Length and isWellFormed', () => {
  test('count the bytes of well-formed texts', () => {
    fc.assert(
      fc.property(text, (given) => {
        expect(isWellFormed(given)).toBe(true)
        expect(utf8Length(given)).toBe(new TextEncoder().encode(given).length)
      }),
    )
  })
  test('find lone surrogates, also two in the wrong order', () => {
    for (const given of ['\ud800', 'a\udfff', '\udc00\ud800', '😀\ud83d'])
      expect(isWellFormed(given)).toBe(false)
  })
})

describe('decodeUtf8', () => {
  test('gives back every well-formed text', () => {
    fc.assert(
      fc.property(text, (given) => {
        expect(decodeUtf8(Buffer.from(given))).toBe(given)
      }),
    )
  })
  test('keeps a byte order mark', () => {
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa')
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf))).toBe('\ufeff')
  })
  test('says null for bytes that are not UTF-8, and nothing of them is left for the next call', () => {
    const bad: readonly (readonly number[])[] = [
      [0xff],
      [0x61, 0x80],
      [0xc0, 0x80],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
    ]
    for (const bytes of bad) {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBeNull()
      expect(decodeUtf8(Uint8Array.of(0x61))).toBe('a')
    }
  })
  test('reads only its part of a larger buffer', () => {
    const whole = Uint8Array.of(0xff, 0x61, 0x62, 0xff)
    expect(decodeUtf8(whole.subarray(1, 3))).toBe('ab')
    expect(decodeUtf8(whole.subarray(1, 1))).toBe('')
  })
})
