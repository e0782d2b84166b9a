import { describe, expect, test } from 'vitest'
import { refusal, siftMessage } from '../../src/remote/comlink-message.js'

const METHODS = new Set(['calls'])
const sift = (data: unknown): ReturnType<typeof siftMessage> => siftMessage(data, METHODS)

const CALL = { id: 'a-1', type: 'APPLY', path: ['calls'], argumentList: [{ type: 'RAW', value: [1] }] }

describe('what comlink gets to see', () => {
  test('a call of an exposed method with one plain argument goes on, made anew', () => {
    const sifted = sift(CALL)
    expect(sifted).toEqual({ kind: 'call', message: CALL })
    expect(sifted.kind === 'call' && sifted.message !== (CALL as unknown)).toBe(true)
  })

  test('what else lies in a call stays outside', () => {
    const more = { ...CALL, value: 7, path: ['calls'], extra: { deep: true } }
    expect(sift(more)).toEqual({ kind: 'call', message: CALL })
  })

  test('answers go on, errors with nothing but name, message and stack', () => {
    expect(sift({ id: 'a', type: 'RAW', value: { big: 'thing' } })).toEqual({
      kind: 'answer',
      message: { id: 'a', type: 'RAW', value: undefined },
    })
    const error = { isError: true, value: { name: 'E', message: 'm', stack: 's', __proto__: { more: 1 } } }
    expect(sift({ id: 'a', type: 'HANDLER', name: 'throw', value: error })).toEqual({
      kind: 'answer',
      message: {
        id: 'a',
        type: 'HANDLER',
        name: 'throw',
        value: { isError: true, value: { name: 'E', message: 'm', stack: 's' } },
      },
    })
  })

  const refused: Readonly<Record<string, unknown>> = {
    'a set': { ...CALL, type: 'SET', value: { type: 'RAW', value: 1 } },
    'a get': { ...CALL, type: 'GET' },
    'a construction': { ...CALL, type: 'CONSTRUCT' },
    'an endpoint': { id: 'a', type: 'ENDPOINT' },
    'a release': { id: 'a', type: 'RELEASE' },
    'an unknown type': { ...CALL, type: 'apply' },
    'no type': { id: 'a' },
    'another method': { ...CALL, path: ['deliver'] },
    'a path to a method': { ...CALL, path: ['calls', 'apply'] },
    'a path to the prototype': { ...CALL, path: ['__proto__'] },
    'a path to the constructor': { ...CALL, path: ['constructor', 'constructor'] },
    'an empty path': { ...CALL, path: [] },
    'no path': { id: 'a', type: 'APPLY', argumentList: CALL.argumentList },
    'a path that is no list': { ...CALL, path: 'calls' },
    'a path of objects': { ...CALL, path: [{ toString: 'calls' }] },
    'no arguments': { ...CALL, argumentList: [] },
    'two arguments': { ...CALL, argumentList: [...CALL.argumentList, ...CALL.argumentList] },
    'arguments that are no list': { ...CALL, argumentList: { 0: CALL.argumentList[0], length: 1 } },
    'an argument that is to be handled': { ...CALL, argumentList: [{ type: 'HANDLER', name: 'proxy' }] },
    'an argument that is no object': { ...CALL, argumentList: [null] },
  }
  for (const [name, data] of Object.entries(refused)) {
    test(`${name} is refused, and can be answered`, () => {
      expect(sift(data)).toMatchObject({ kind: 'refused', id: (data as { id: string }).id })
    })
  }

  test('without a usable id nobody can be answered', () => {
    const bad = [undefined, null, 0, 1, '', 'x'.repeat(201), {}, ['a'], Symbol.iterator]
    for (const id of bad) expect(sift({ ...CALL, id })).toMatchObject({ kind: 'refused', id: null })
    for (const data of [undefined, null, 0, 'text', true, 7n]) {
      expect(sift(data)).toMatchObject({ kind: 'refused', id: null })
    }
  })

  test('an answer that is not plain is not answered: that could go on for ever', () => {
    for (const name of ['proxy', 'nothing', '__proto__', undefined]) {
      const answer = { id: 'a', type: 'HANDLER', name, value: { isError: true, value: { message: 'm' } } }
      expect(sift(answer)).toMatchObject({ kind: 'refused', id: null })
    }
  })

  test('names are looked up in the message itself, not in what it inherits', () => {
    expect(sift(Object.create(CALL))).toMatchObject({ kind: 'refused', id: null })
    expect(sift(Object.assign(Object.create({ type: 'APPLY' }) as object, { id: 'a' }))).toMatchObject({
      kind: 'refused',
      id: 'a',
    })
  })

  test('a refusal is an answer that comlink understands', () => {
    expect(sift(refusal('a', 'why'))).toEqual({ kind: 'answer', message: refusal('a', 'why') })
  })
})
