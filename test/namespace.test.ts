import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentStateError } from '../src/errors.js'
import { isNamespaceName, validateNamespace } from '../src/namespace.js'

const BAD: readonly (readonly [string, string])[] = [
  ['', 'empty'],
  ['.', 'relative directory'],
  ['..', 'relative directory'],
  ['a/b', 'single path component'],
  ['/', 'single path component'],
  ['/etc', 'single path component'],
  ['../x', 'single path component'],
  ['a\0b', 'NUL'],
  ['\ud800', 'lone surrogate'],
  ['a\udfff', 'lone surrogate'],
  ['n'.repeat(201), '201 bytes'],
  ['ü'.repeat(101), '202 bytes'],
  ['.agent_state', 'reserved'],
  ['.Agent_State', 'reserved'],
  ['.AGENT_STATE', 'reserved'],
  ['.agent_\u017ftate', 'reserved'],
  ['.git', 'reserved'],
  ['.GIT', 'reserved'],
  ['.gIt', 'reserved'],
  ['.g\u200cit', 'reserved'],
  ['.git\ufeff', 'reserved'],
]
const GOOD = [
  ...['a', 'A', 'thread-1', ' a ', ' ', '...', '.hidden', 'a\\b', 'C:x', 'a\nb', 'ä', 'e\u0301', '😀'],
  ...[
    'n'.repeat(200),
    'ü'.repeat(100),
    '.agent_state_meta',
    '.agent_state2',
    'agent_state',
    '.github',
    '.gitignore',
    'git',
  ],
  ...['__proto__', 'constructor', '-rf', '~', '0192a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b'],
]

function check(name: unknown, onWindows = false): unknown {
  try {
    return validateNamespace(name, onWindows)
  } catch (error) {
    return error
  }
}

describe('validateNamespace', () => {
  test('returns a good name untouched', () => {
    for (const name of GOOD) expect(check(name)).toBe(name)
  })
  test('says what is wrong with a bad one, and names it', () => {
    for (const [name, words] of BAD) {
      const error = check(name)
      expect(error).toMatchObject({ code: 'INVALID_NAMESPACE', namespace: name, outcome: 'unchanged' })
      expect((error as AgentStateError).message).toContain(words)
    }
  })
  test('takes anything but a string for misuse', () => {
    for (const name of [undefined, null, 1, {}, ['a'], Symbol('a')])
      expect(check(name)).toBeInstanceOf(TypeError)
  })
  test('refuses on Windows what means something else there', () => {
    for (const name of ['a\\b', 'C:x', 'nul', 'a.', 'GIT~1']) {
      expect(check(name, true)).toMatchObject({ code: 'INVALID_NAMESPACE' })
    }
    expect(check('thread-1', true)).toBe('thread-1')
  })
  test('keeps its message short for a long name', () => {
    expect((check('x'.repeat(1_000_000)) as Error).message.length).toBeLessThan(300)
  })
})

describe('isNamespaceName', () => {
  test('agrees with validateNamespace about any name', () => {
    const name = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...GOOD, ...BAD.map(([bad]) => bad)))
    fc.assert(
      fc.property(name, (given) => {
        expect(isNamespaceName(given)).toBe(check(given, process.platform === 'win32') === given)
      }),
    )
  })
})
