import type { StandardSchemaV1 } from '@standard-schema/spec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { failureOf, refusal } from '../src/contract/observe.js'
import { encodeJson, parseJson, validateJson } from '../src/json.js'

function schema(validate: StandardSchemaV1['~standard']['validate']): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

describe('JSON', () => {
  test('is written for people, with a final newline, and read back unchanged', () => {
    expect(encodeJson({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}\n')
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseJson(encodeJson(value), 'n', 'k')).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('what has no JSON is a TypeError, not the word undefined in a file', async () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    for (const value of [undefined, () => 1, Symbol('s'), 1n, cycle, { toJSON: () => undefined }]) {
      expect(await failureOf(() => encodeJson(value))).toBeInstanceOf(TypeError)
    }
  })

  test('text that is none is SCHEMA_MISMATCH with the reason', async () => {
    for (const text of ['', '{', 'undefined', '{"a": 1,}', '\ufeff{}']) {
      const error = await refusal('SCHEMA_MISMATCH', () => parseJson(text, 'n', 'k'))
      expect(error).toMatchObject({ namespace: 'n', key: 'k', outcome: 'unchanged' })
      expect(error.issues).toMatchObject([{ message: expect.stringMatching(/^not JSON/) }])
      expect(error.cause).toBeInstanceOf(SyntaxError)
    }
  })

  test('keys such as __proto__ are ordinary, and change no prototype', () => {
    const value = parseJson('{"__proto__": {"isAdmin": true}}', 'n', 'k') as Record<string, unknown>
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(encodeJson(value)).toContain('"__proto__"')
  })
})

describe('schemas', () => {
  test('give what they make of the value, at once or later', async () => {
    for (const answer of [{ value: 2 }, Promise.resolve({ value: 2 })]) {
      expect(
        await validateJson(
          schema(() => answer),
          1,
          'n',
          'k',
        ),
      ).toBe(2)
    }
  })

  test('an object and a function can be one', async () => {
    const callable = Object.assign(
      () => 0,
      schema((value) => ({ value })),
    )
    expect(await validateJson(callable, 'x', 'n', 'k')).toBe('x')
  })

  test('their issues are those of the error; what a schema throws is thrown', async () => {
    const issues = [{ message: 'too small', path: ['a'] }, { message: 'too large' }]
    const error = await refusal('SCHEMA_MISMATCH', () =>
      validateJson(
        schema(() => ({ issues })),
        1,
        'n',
        'k',
      ),
    )
    expect(error.issues).toEqual(issues)
    expect(error.message).toMatch('too small')
    const silent = schema(() => ({ issues: [] }))
    expect((await refusal('SCHEMA_MISMATCH', () => validateJson(silent, 1, 'n', 'k'))).message).toMatch(
      'no reason',
    )
    const broken = schema(() => {
      throw new RangeError('broken schema')
    })
    expect(await failureOf(() => validateJson(broken, 1, 'n', 'k'))).toMatchObject({
      message: 'broken schema',
    })
  })
})
