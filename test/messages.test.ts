import { expect, test } from 'vitest'
import { quoteText, suggestName, typeName } from '../src/messages.js'
import { isWellFormed } from '../src/utf8.js'

test('a text is quoted whole up to 200 UTF-16 units and cut beyond, never within a character', () => {
  expect(quoteText('')).toBe("''")
  expect(quoteText('a\nb')).toBe("'a\nb'")
  expect(quoteText('x'.repeat(200))).toBe(`'${'x'.repeat(200)}'`)
  expect(quoteText('x'.repeat(201))).toBe(`'${'x'.repeat(200)}…'`)
  const cut = quoteText(`${'x'.repeat(199)}😀😀`)
  expect(cut).toBe(`'${'x'.repeat(199)}…'`)
  expect(isWellFormed(cut)).toBe(true)
})
test('a value is named by its type or its class', () => {
  const names: readonly (readonly [unknown, string])[] = [
    [null, 'null'],
    [undefined, 'undefined'],
    ['x', 'a string'],
    [1, 'a number'],
    [true, 'a boolean'],
    [1n, 'a bigint'],
    [Symbol('x'), 'a symbol'],
    [() => 1, 'a function'],
    [[], 'an array'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [{ constructor: 1 }, 'an object'],
    [new Map(), 'an instance of Map'],
    [Promise.resolve(), 'an instance of Promise'],
  ]
  for (const [value, name] of names) expect(typeName(value)).toBe(name)
})
test('a suggestion is the nearest name, or all names where none is near', () => {
  expect(suggestName('limt', ['prefix', 'limit'])).toBe("did you mean 'limit'?")
  expect(suggestName('zzzzzz', new Set(['prefix', 'limit']))).toBe('known are prefix, limit')
})
