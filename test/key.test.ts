import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AgentStateError } from '../src/errors.js'
import { normalizeKey } from '../src/key.js'
import { trimWhiteSpace } from '../src/utf8.js'

const MAX = 1024

const normalize = (raw: unknown): string => normalizeKey(raw, MAX, false)

function failure(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('expected it to throw')
}

/** The message without the prefix that all of them share. */
function invalid(raw: unknown, onWindows = false): string {
  const error = failure(() => normalizeKey(raw, MAX, onWindows))
  if (!AgentStateError.is(error, 'INVALID_KEY')) throw error
  expect(error.outcome).toBe('unchanged')
  expect(error.message.startsWith('agent_state: ')).toBe(true)
  return error.message.slice('agent_state: '.length)
}

const component = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '...',
    '.a',
    'a.',
    'a',
    'B',
    ' ',
    'ä',
    '😀',
    '\0',
    '\ud800',
    '\ufeff',
    'a b',
    'a\\b',
  ),
  fc.constantFrom(
    '.agent_state_meta',
    '.agent_state_metal',
    'x.agent_state_tmp',
    '.agent_state',
    'agent_state_tmp',
  ),
  fc.constantFrom('c'.repeat(250), 'ü'.repeat(126), '\u3000a', 'a\u0085', '\ue000'),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const raw = fc.array(component, { maxLength: 6 }).map((components) => components.join('/'))

describe('a valid key', () => {
  test('is returned as it is when it is in normal form', () => {
    const keys = [
      'a',
      'a/b/c.json',
      'evidence/agent-17/item-3.json',
      'a /b',
      'a\\b',
      'C:\\x',
      '...',
      '.hidden',
      '..a',
      'a..',
      'a/..b/...c',
      'a\nb',
      'a\tb/c',
      '-rf',
      '~',
      'é',
      'e\u0301',
      '\ufeffa',
      '\u200b',
      '__proto__',
      'constructor/prototype',
      'a:b*c?"<>|',
      '.agent_state',
      '.agent_state_metadata',
      'agent_state_meta/agent_state_tmp',
      'x.agent_state_meta',
      '.Agent_State_Meta',
      '😀/～',
      '\u007f',
    ]
    for (const key of keys) expect(normalize(key)).toBe(key)
  })
  test('loses empty and dot components and Unicode white space at its ends', () => {
    const forms: readonly (readonly [string, string])[] = [
      ['a//b', 'a/b'],
      ['./a', 'a'],
      ['a/', 'a'],
      ['a/.', 'a'],
      ['a/./b//', 'a/b'],
      ['././/a', 'a'],
      [' a ', 'a'],
      ['\u0085a\u3000', 'a'],
      ['\u2028\u00a0\v\fa/b \r\n', 'a/b'],
      [' a / b ', 'a / b'],
      ['a/ ', 'a'],
      ['a/ /b', 'a/ /b'],
      ['\u3000ü/.', 'ü'],
    ]
    for (const [given, normal] of forms) expect(normalize(given)).toBe(normal)
  })
  test('may begin or end with white space behind a dot component, as in a tree where such a name exists', () => {
    expect(normalize('./ a')).toBe(' a')
    expect(normalize('a /.')).toBe('a ')
    expect(normalize('\u3000./\u3000/./ ')).toBe('\u3000')
    expect(normalize('a/ /.')).toBe('a/ ')
  })
  test('keeps composed and decomposed forms as two keys', () => {
    expect(normalize('\u00e9')).not.toBe(normalize('e\u0301'))
  })
})

describe('an invalid key', () => {
  test('is refused in the words of the origin', () => {
    const messages: readonly (readonly [string, string])[] = [
      ['', 'key must be a non-empty relative path'],
      [' \u0085\u3000', 'key must be a non-empty relative path'],
      ['.', 'key must contain at least one path component'],
      ['./', 'key must contain at least one path component'],
      [' ./. ', 'key must contain at least one path component'],
      ['/', "key '/' must be relative"],
      [' /a ', "key '/a' must be relative"],
      ['//a', "key '//a' must be relative"],
      ['..', "key '..' must not escape the session root"],
      [' a/../b', "key 'a/../b' must not escape the session root"],
      ['a/..', "key 'a/..' must not escape the session root"],
      ['.agent_state_meta', "key '.agent_state_meta' uses a reserved internal path"],
      ['a/.agent_state_meta/b', "key 'a/.agent_state_meta/b' uses a reserved internal path"],
      ['x.agent_state_tmp', "key 'x.agent_state_tmp' uses a reserved internal path"],
      ['a/.n.agent_state_tmp.1/b', "key 'a/.n.agent_state_tmp.1/b' uses a reserved internal path"],
    ]
    for (const [given, message] of messages) expect(invalid(given)).toBe(message)
  })
  test('fails with its first bad component', () => {
    expect(invalid('.agent_state_meta/../x')).toContain('reserved')
    expect(invalid('../.agent_state_meta')).toContain('escape')
    expect(invalid('a\0/..')).toContain('NUL')
    expect(invalid('../a\0')).toContain('escape')
    expect(invalid('/..')).toContain('relative')
  })
  test('is one with a NUL character or a lone surrogate', () => {
    for (const given of ['\0', 'a\0b', 'a/\0']) expect(invalid(given)).toContain('NUL character')
    for (const given of ['\ud800', 'a\udfffb', '\udc00\ud800', 'x\ud83d', 'a/\ud800/b', '\ud83d/\ude00']) {
      expect(invalid(given)).toContain('lone surrogate')
    }
  })
  test('is named in the error, without its white space, and cut in the message only', () => {
    expect(failure(() => normalize(' /a '))).toMatchObject({ code: 'INVALID_KEY', key: '/a' })
    const long = `/${'x'.repeat(1_000_000)}`
    const error = failure(() => normalize(long))
    expect(error).toMatchObject({ key: long })
    expect((error as Error).message.length).toBeLessThan(300)
  })
  test('is a TypeError when it is not a string', () => {
    for (const given of [undefined, null, 1, {}, ['a'], Symbol('a'), Object('a'), Buffer.from('a')]) {
      expect(failure(() => normalize(given))).toBeInstanceOf(TypeError)
    }
  })
})

describe('the length of a key', () => {
  test('I7: a component takes up to 250 bytes', () => {
    for (const key of ['c'.repeat(250), `d/${'ü'.repeat(125)}/e`, `${'😀'.repeat(62)}xy/z`]) {
      expect(normalize(key)).toBe(key)
    }
    for (const key of ['c'.repeat(251), `d/${'ü'.repeat(125)}x/e`, `f/${'😀'.repeat(63)}`]) {
      expect(invalid(key)).toMatch(/has a component of 25[12] bytes, at most 250 are allowed$/)
    }
  })
  test('I9: a normal form takes up to keyBytesMax bytes, whatever was cut from it', () => {
    expect(normalizeKey('ab/cd', 5)).toBe('ab/cd')
    expect(normalizeKey(' ./ab//cd/. ', 5)).toBe('ab/cd')
    expect(normalizeKey('ä/ü', 5)).toBe('ä/ü')
    for (const [key, actual] of [
      ['ab/cde', 6],
      ['abcdef', 6],
      ['ä/üx', 6],
      [' ./a/b//c/d', 7],
    ] as const) {
      const error = failure(() => normalizeKey(key, 5))
      expect(error).toMatchObject({
        code: 'LIMIT_EXCEEDED',
        limit: 'keyBytesMax',
        max: 5,
        actual,
        outcome: 'unchanged',
      })
    }
  })
  test('I9: a text of many megabytes is judged without keeping its pieces', () => {
    expect(normalize(`a${'/'.repeat(1_000_000)}b`)).toBe('a/b')
    expect(failure(() => normalize('a/'.repeat(500_000)))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      actual: 999_999,
    })
    expect(invalid('x'.repeat(20_000_000))).toContain('has a component of 20000000 bytes')
  })
})

describe('any text', () => {
  test('is judged alike with and without the short way for keys in normal form', () => {
    const outcome = (given: string): unknown => {
      try {
        return normalize(given)
      } catch (error) {
        return (error as Error).message
      }
    }
    // White space at an end always takes the long way.
    fc.assert(
      fc.property(raw, (given) => {
        expect(outcome(given)).toBe(outcome(` ${given}\n`))
      }),
      { numRuns: 5000 },
    )
  })
  test('gives a normal form that is its own normal form, or an error of this library', () => {
    fc.assert(
      fc.property(raw, (given) => {
        let key: string
        try {
          key = normalize(given)
        } catch (error) {
          expect(['INVALID_KEY', 'LIMIT_EXCEEDED']).toContain((error as AgentStateError).code)
          return
        }
        expect(normalize(`./${key}/.`)).toBe(key)
        if (key === trimWhiteSpace(key)) expect(normalize(key)).toBe(key)
        expect(key.split('/')).not.toContain('')
        expect(key.split('/')).not.toContain('.')
        expect(key.split('/')).not.toContain('..')
      }),
      { numRuns: 2000 },
    )
  })
})

describe('on Windows', () => {
  test('a component that names something else there is refused', () => {
    for (const key of [
      'a\\b',
      '..\\x',
      'C:\\x',
      'a:b',
      'a/b.',
      'a/b /c',
      'NUL',
      'a/con.txt',
      'GIT~1/config',
    ]) {
      expect(invalid(key, true)).toContain('Windows')
    }
  })
  test('other keys are the same as elsewhere', () => {
    for (const key of ['a', 'a/b.json', '.hidden', 'ä/ü']) expect(normalizeKey(key, MAX, true)).toBe(key)
    expect(normalizeKey(' ./a//b', MAX, true)).toBe('a/b')
  })
})
