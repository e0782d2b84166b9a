import { describe, expect, test } from 'vitest'
import { AgentStateError, stateError } from '../../src/errors.js'
import { decodeError, encodeError } from '../../src/remote/encode-error.js'

const cross = (error: unknown): Error => decodeError(structuredClone(encodeError(error)))

describe('an error that crosses threads', () => {
  test('of the store keeps code, outcome, fields, message, stack and causes', () => {
    const conflict = {
      namespace: 'n',
      key: 'k',
      rule: 'lost-update',
      current: { writerId: 'ann' },
      previous: null,
      previousRevision: 7,
      seenRevision: null,
    } as const
    const cause = stateError('READ_FAILED', 'no', { path: '/p', cause: new RangeError('deep') })
    const error = stateError('CONFLICT', 'message', { conflict, namespace: 'n', key: 'k', index: 3, cause })
    const crossed = cross(error)
    expect(AgentStateError.is(crossed, 'CONFLICT')).toBe(true)
    expect(crossed).toEqual(error)
    expect(crossed.stack).toBe(error.stack)
    expect(crossed).toMatchObject({
      code: 'CONFLICT',
      outcome: 'unchanged',
      retryable: false,
      conflict,
      index: 3,
    })
    expect(AgentStateError.is(crossed.cause, 'READ_FAILED')).toBe(true)
    expect((crossed.cause as Error).cause).toBeInstanceOf(RangeError)
    expect(((crossed.cause as Error).cause as Error).message).toBe('deep')
  })

  test('keeps an outcome that is not the usual one of its code', () => {
    const error = stateError('DISCONNECTED', 'm', { outcome: 'unknown' })
    expect(cross(error)).toMatchObject({ code: 'DISCONNECTED', outcome: 'unknown' })
    expect(cross(stateError('OUTCOME_UNKNOWN', 'm', { revision: null }))).toMatchObject({
      outcome: 'unknown',
      revision: null,
    })
    expect(cross(stateError('NO_SPACE', 'm', {}))).toMatchObject({ retryable: true })
  })

  test('of misuse stays what it is', () => {
    const type = cross(new TypeError('wrong'))
    expect(type).toBeInstanceOf(TypeError)
    expect(type.message).toBe('wrong')
    expect(cross(new RangeError('out'))).toBeInstanceOf(RangeError)
    expect(cross(new (class Special extends TypeError {})('sub'))).toBeInstanceOf(TypeError)
  })

  test('of any other kind becomes an Error with its name, message, stack and plain fields', () => {
    const system = Object.assign(new Error('EIO: broken'), {
      code: 'EIO',
      errno: -5,
      syscall: 'read',
      path: '/x',
    })
    const crossed = cross(system)
    expect(crossed).toMatchObject({
      message: 'EIO: broken',
      code: 'EIO',
      errno: -5,
      syscall: 'read',
      path: '/x',
    })
    expect(crossed.stack).toBe(system.stack)
    const named = new Error('m')
    named.name = 'SpecialError'
    expect(cross(named).name).toBe('SpecialError')
  })

  test('can be anything that was thrown', () => {
    const things: readonly (readonly [unknown, string])[] = [
      [undefined, 'undefined'],
      [null, 'null'],
      ['text', 'text'],
      [7, '7'],
      [Symbol('s'), 'Symbol(s)'],
      [{ a: 1 }, '[object Object]'],
    ]
    for (const [thrown, text] of things) {
      expect(cross(thrown)).toBeInstanceOf(Error)
      expect(cross(thrown).message).toBe(text)
    }
  })

  test('leaves out what could not cross', () => {
    const odd = Object.assign(new Error('m'), {
      fn: () => {},
      symbol: Symbol('s'),
      nested: { fn: () => {}, list: [1, () => {}], error: new Error('inner') },
    })
    const circular: Record<string, unknown> = {}
    circular.self = circular
    Object.assign(odd, { circular })
    const crossed = cross(odd) as Error & { nested: { list: unknown[]; error: string } }
    expect(crossed.nested.list[0]).toBe(1)
    expect(crossed.nested.error).toBe('inner')
  })

  test('a chain of causes that goes round is cut off', () => {
    const one = new Error('one')
    one.cause = one
    let depth = 0
    for (let error: unknown = cross(one); error instanceof Error; error = error.cause) depth++
    expect(depth).toBeGreaterThan(1)
    expect(depth).toBeLessThan(20)
  })
})
