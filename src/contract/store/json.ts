/** JSON values and schemas of any library that speaks Standard Schema. */
import { expect } from 'vitest'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { failureOf, misuse, refusal } from '../observe.js'
import type { Given } from '../given.js'

type Counter = { count: number }

/** Accepts `{ count: number }` or `{ count: "12" }`, so that its output differs from its input. */
const counter: StandardSchemaV1<unknown, Counter> = {
  '~standard': {
    version: 1,
    vendor: 'agent-state-contract',
    validate(value) {
      const count = Number((value as { count?: unknown } | null)?.count)
      if (Number.isInteger(count)) return { value: { count } }
      return { issues: [{ message: 'count must be a whole number', path: ['count'] }] }
    },
  },
}

const slowCounter: StandardSchemaV1<unknown, Counter> = {
  '~standard': {
    ...counter['~standard'],
    validate: async (value) => counter['~standard'].validate(value),
  },
}

export function json(given: Given): void {
  writing(given)
  reading(given)
  updating(given)
}

function writing(given: Given): void {
  given.test('`writeJson` writes pretty-printed JSON with a final newline', async () => {
    const session = await given.session()
    for (const value of [{ b: [1, { c: null }], a: 'ü😀' }, [], 'text', 0, null, false, { lone: '\ud800' }]) {
      await session.writeJson('k', value)
      expect(await session.read('k')).toBe(`${JSON.stringify(value, null, 2)}\n`)
      expect(await session.readJson('k')).toEqual(value)
    }
  })
  given.test('what JSON can not say is a TypeError, and nothing changes', async () => {
    const session = await given.session()
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    for (const value of [undefined, () => 1, Symbol('s'), 1n, circular]) {
      expect(await misuse(() => session.writeJson('k', value))).toBeInstanceOf(TypeError)
    }
    const broken = {
      toJSON() {
        throw new Error('from toJSON')
      },
    }
    expect(await failureOf(() => session.writeJson('k', broken))).toMatchObject({ message: 'from toJSON' })
    expect(await session.list()).toEqual([])
  })
  given.test('a member called `__proto__` is kept as data', async () => {
    const session = await given.session()
    await session.write('k', '{"__proto__": {"polluted": 1}, "constructor": 2}')
    const value = (await session.readJson('k')) as Record<string, unknown>
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
}

function reading(given: Given): void {
  given.test(
    '`readJson` validates against a schema and gives its output, also when it validates asynchronously',
    async () => {
      const session = await given.session()
      await session.writeJson('k', { count: '12' })
      expect(await session.readJson('k', counter)).toEqual({ count: 12 })
      expect(await session.readJson('k', slowCounter)).toEqual({ count: 12 })
      expect(await session.readJson('missing', counter)).toBeNull()
    },
  )
  given.test('what does not fit is SCHEMA_MISMATCH with the issues of the schema', async () => {
    const session = await given.session()
    await session.writeJson('k', { count: 'many' })
    const error = await refusal('SCHEMA_MISMATCH', () => session.readJson('k', counter))
    expect(error.issues).toMatchObject([{ message: 'count must be a whole number', path: ['count'] }])
    expect(error.key).toBe('k')
  })
  given.test('what is not JSON is SCHEMA_MISMATCH, with or without a schema', async () => {
    const session = await given.session()
    for (const text of ['', 'nonsense', '{"a": }', '{} {}', "{'a': 1}"]) {
      await session.write('k', text)
      expect((await refusal('SCHEMA_MISMATCH', () => session.readJson('k'))).issues.length).toBeGreaterThan(0)
      await refusal('SCHEMA_MISMATCH', () => session.readJson('k', counter))
      expect(await session.read('k')).toBe(text)
    }
  })
  given.test('an exception of the schema itself reaches the caller', async () => {
    const session = await given.session()
    await session.writeJson('k', 1)
    const failing: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'agent-state-contract',
        validate() {
          throw new Error('from the schema')
        },
      },
    }
    expect(await failureOf(() => session.readJson('k', failing))).toMatchObject({
      message: 'from the schema',
    })
  })
}

function updating(given: Given): void {
  given.test(
    '`updateJson` gives the validated value to the function and writes what it returns',
    async () => {
      const session = await given.session()
      const increment = (value: Counter | null): Counter => ({ count: (value?.count ?? 0) + 1 })
      await session.updateJson('k', counter, increment)
      await Promise.all(Array.from({ length: 9 }, () => session.updateJson('k', slowCounter, increment)))
      expect(await session.read('k')).toBe('{\n  "count": 10\n}\n')
      expect(await session.updateJson('k', counter, () => undefined)).toBeNull()
      expect(await session.updateJson('k', counter, () => null)).toMatchObject({ deleted: true })
      expect(await session.list()).toEqual([])
    },
  )
  given.test(
    '`updateJson` refuses a stored value that does not fit, without calling the function',
    async () => {
      const session = await given.session()
      await session.writeJson('k', { count: 'many' })
      let calls = 0
      await refusal('SCHEMA_MISMATCH', () =>
        session.updateJson('k', counter, () => ((calls += 1), { count: 1 })),
      )
      expect(calls).toBe(0)
      expect(await session.readJson('k')).toEqual({ count: 'many' })
    },
  )
}
