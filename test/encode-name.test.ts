import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeName, encodeName } from '../src/encode-name.js'
import { normalizeKey } from '../src/key.js'
import { validateNamespace } from '../src/namespace.js'
import { isWindowsName } from '../src/windows-names.js'

const hostile = fc.constantFrom(
  ...[
    '',
    '.',
    '..',
    '/',
    '\\',
    ' ',
    '%',
    '+',
    '%2f',
    '%u',
    '+a',
    'A',
    'a',
    'é',
    'e\u0301',
    'ſ',
    '\u212a',
    'ﬀ',
    '\ud800',
    '\udc00',
  ],
  ...[
    '.git',
    '.agent_state',
    '.agent_state_meta',
    '.agent_state_tmp',
    '.AGENT_STATE',
    'con',
    'NUL',
    'com1',
    '.txt',
    '-',
    '~1',
    '\0',
  ],
)
const text = fc.oneof(
  fc
    .array(fc.oneof(hostile, fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 3 })
    .map((parts) => parts.join('')),
  // UTF-16 units one by one, lone surrogates among them.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 })
    .map((units) => String.fromCharCode(...units)),
)

describe('encodeName', () => {
  test('leaves ordinary ids as they are', () => {
    for (const id of [
      'thread-1',
      'user_7',
      'a.b',
      'ann@example.com',
      'k=v',
      '0192a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b',
      '42',
    ]) {
      expect(encodeName(id)).toBe(id)
    }
  })
  test('writes the rest so that it can still be read', () => {
    const names: readonly (readonly [string, string])[] = [
      ['thread/42', 'thread%2f42'],
      ['Agent A', '+agent%20+a'],
      ['..', '%2e%2e'],
      ['.', '%2e'],
      ['', '%'],
      ['.git', '%2egit'],
      ['.agent_state', '%2eagent_state'],
      ['a.agent_state_tmp', 'a%2eagent_state_tmp'],
      ['a.', 'a%2e'],
      ['-rf', '%2drf'],
      ['100%', '100%25'],
      ['a+b', 'a%2bb'],
      ['é', '%e9'],
      ['中', '%u4e2d'],
      ['😀', '%ud83d%ude00'],
      ['\ud800', '%ud800'],
      ['con', '%63on'],
      ['nul.txt', '%6eul.txt'],
    ]
    for (const [given, name] of names) {
      expect(encodeName(given)).toBe(name)
      expect(decodeName(name)).toBe(given)
    }
  })
  test('gives a name that is a namespace and a key component everywhere, and decodeName gives the text back', () => {
    fc.assert(
      fc.property(text, (given) => {
        const name = encodeName(given)
        expect(decodeName(name)).toBe(given)
        expect(validateNamespace(name)).toBe(name)
        expect(normalizeKey(name, 200)).toBe(name)
        expect(normalizeKey(`a/${name}/b`, 1024)).toBe(`a/${name}/b`)
        expect(isWindowsName(name)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
  test('gives different texts names that differ also where case is ignored or names are normalized', () => {
    const folds: readonly ((name: string) => string)[] = [
      (name) => name.toLowerCase(),
      (name) => name.toUpperCase(),
      (name) => name.normalize('NFC'),
      (name) => name.normalize('NFD'),
      (name) => name.normalize('NFKD').toLowerCase().toUpperCase(),
    ]
    const related = fc.tuple(text, fc.constantFrom('toLowerCase', 'toUpperCase', 'normalize'))
    const pair = fc.oneof(
      fc.tuple(text, text),
      related.map(([given, method]) => [given, given[method]()] as const),
    )
    fc.assert(
      fc.property(pair, ([a, b]) => {
        for (const fold of folds) expect(fold(encodeName(a)) === fold(encodeName(b))).toBe(a === b)
      }),
      { numRuns: 2000 },
    )
  })
  test('takes up to 200 bytes of name and refuses more', () => {
    expect(encodeName('a'.repeat(200)).length).toBe(200)
    expect(encodeName('A'.repeat(100)).length).toBe(200)
    for (const long of [
      'a'.repeat(201),
      'A'.repeat(101),
      '中'.repeat(34),
      `.${'a'.repeat(199)}`,
      'x'.repeat(10_000_000),
    ]) {
      expect(() => encodeName(long)).toThrow(RangeError)
    }
  })
  test('takes anything but a string for misuse', () => {
    for (const given of [undefined, null, 1, {}, ['a']]) {
      expect(() => encodeName(given as string)).toThrow(TypeError)
      expect(() => decodeName(given as string)).toThrow(TypeError)
    }
  })
})

describe('decodeName', () => {
  test('refuses a name that encodeName never gives, so that no text has two names', () => {
    const names = [
      '',
      'A',
      '.',
      '%2',
      '%2F',
      '%zz',
      '%61',
      '+',
      '+1',
      'a b',
      'a/b',
      '%%',
      '%u0041',
      '.git',
      'con',
      'a.',
      'ä',
    ]
    for (const name of [...names, 'a'.repeat(201)]) expect(() => decodeName(name), name).toThrow(RangeError)
  })
  test('gives a text back for exactly the names that encodeName gives', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', 'A', 'u', '0', 'e', '%', '+', '.', '-', '2'),
      maxLength: 8,
    })
    fc.assert(
      fc.property(name, (given) => {
        let decoded: string
        try {
          decoded = decodeName(given)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          return
        }
        expect(encodeName(decoded)).toBe(given)
      }),
      { numRuns: 2000 },
    )
  })
})
