import { describe, expect, test } from 'vitest'
import { checkConflictPolicy, parseConflictPolicy } from '../src/conflict-policy.js'

function failure(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('expected it to throw')
}

describe('parseConflictPolicy', () => {
  test('takes every name and alias of the origin, in any case, with white space around it', () => {
    const aliases = { ignore: ['', 'ignore', 'off'], warn: ['warn', 'warning'], error: ['error', 'strict'] }
    for (const [policy, texts] of Object.entries(aliases)) {
      for (const text of texts) {
        for (const given of [text, text.toUpperCase(), ` ${text}\n`, `\u0085\u3000${text}\u00a0`]) {
          expect(parseConflictPolicy(given)).toBe(policy)
        }
      }
    }
    expect(parseConflictPolicy(' \t')).toBe('ignore')
  })
  test('refuses any other text in the words of the origin, trimmed and lowered, with the closest name', () => {
    const unknown: readonly (readonly [string, string])[] = [
      [' Ignored ', "agent_state: unknown conflict policy 'ignored'; did you mean 'ignore'?"],
      ['strikt', "agent_state: unknown conflict policy 'strikt'; did you mean 'strict'?"],
      ['WARNINGS', "agent_state: unknown conflict policy 'warnings'; did you mean 'warning'?"],
      ['\ufefferror', "agent_state: unknown conflict policy '\ufefferror'; did you mean 'error'?"],
      [
        'last-writer-wins',
        "agent_state: unknown conflict policy 'last-writer-wins'; known are ignore, warn, error, off, warning, strict",
      ],
    ]
    for (const [text, message] of unknown) {
      const error = failure(() => parseConflictPolicy(text))
      expect(error).toBeInstanceOf(RangeError)
      expect(error.message).toBe(message)
    }
  })
  test('folds the case of ASCII letters only', () => {
    expect(failure(() => parseConflictPolicy('\u017ftrict'))).toBeInstanceOf(RangeError)
    expect(failure(() => parseConflictPolicy('\u0130GNORE')).message).toContain("'\u0130gnore'")
  })
  test('knows no policy by the name of an object property', () => {
    for (const text of ['constructor', '__proto__', 'toString']) {
      expect(failure(() => parseConflictPolicy(text))).toBeInstanceOf(RangeError)
    }
  })
  test('takes anything but a string for misuse, and a long text without a long message', () => {
    for (const text of [undefined, null, 1, {}, ['warn']]) {
      expect(failure(() => parseConflictPolicy(text as string))).toBeInstanceOf(TypeError)
    }
    expect(failure(() => parseConflictPolicy('warn'.repeat(1_000_000))).message.length).toBeLessThan(400)
  })
})

describe('checkConflictPolicy', () => {
  test('takes the three names exactly', () => {
    for (const name of ['ignore', 'warn', 'error']) expect(checkConflictPolicy(name)).toBe(name)
  })
  test('names the policy that an alias stands for instead of taking it', () => {
    const aliases = {
      off: 'ignore',
      '': 'ignore',
      Warn: 'warn',
      warning: 'warn',
      ' error': 'error',
      strict: 'error',
    }
    for (const [alias, name] of Object.entries(aliases)) {
      const error = failure(() => checkConflictPolicy(alias))
      expect(error).toBeInstanceOf(RangeError)
      expect(error.message).toContain(
        `agent_state: unknown conflict policy '${alias}'; did you mean '${name}'?`,
      )
      expect(error.message).toContain('parseConflictPolicy()')
    }
  })
  test('refuses other texts as parseConflictPolicy does, and other types as misuse', () => {
    expect(failure(() => checkConflictPolicy('strikt')).message).toBe(
      "agent_state: unknown conflict policy 'strikt'; did you mean 'strict'?",
    )
    for (const value of [null, 1, true, {}, ['warn']]) {
      expect(failure(() => checkConflictPolicy(value))).toBeInstanceOf(TypeError)
    }
  })
})
