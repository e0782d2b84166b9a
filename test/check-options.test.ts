import vm from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  isPlainObject,
} from '../src/check-options.js'

const KNOWN = ['signal', 'limit', 'prefix']

describe('checkOptions', () => {
  test('takes undefined and plain objects with known names, whatever their values', () => {
    for (const options of [undefined, {}, { limit: 1 }, { signal: undefined, limit: null, prefix: {} }]) {
      checkOptions(options, KNOWN, 'options')
      checkOptions(options, new Set(KNOWN), 'options')
    }
    checkOptions(Object.freeze({ limit: 1 }), KNOWN, 'options')
    checkOptions(Object.assign(Object.create(null) as object, { limit: 1 }), KNOWN, 'options')
  })
  test('takes objects of another realm', () => {
    checkOptions(vm.runInNewContext('({ limit: 1 })'), KNOWN, 'options')
    expect(() => checkOptions(vm.runInNewContext('({ limits: 1 })'), KNOWN, 'options')).toThrow(TypeError)
    expect(isPlainObject(vm.runInNewContext('[]'))).toBe(false)
    expect(isPlainObject(vm.runInNewContext('new Map()'))).toBe(false)
  })
  test('refuses an unknown name and says which one may be meant', () => {
    for (const known of [KNOWN, new Set(KNOWN)]) {
      const act = (options: unknown) => (): void => checkOptions(options, known, 'page')
      expect(act({ limt: 1 })).toThrow(new TypeError("page: unknown name 'limt'; did you mean 'limit'?"))
      expect(act({ limit: 1, zzzzzz: undefined })).toThrow(
        new TypeError("page: unknown name 'zzzzzz'; known are signal, limit, prefix"),
      )
      for (const name of ['constructor', 'toString', 'has', 'length'])
        expect(act({ [name]: 1 })).toThrow(TypeError)
      expect(act(JSON.parse('{"__proto__": 1}'))).toThrow(TypeError)
    }
  })
  test('refuses everything else, also what has no names of its own', () => {
    class Page {
      readonly limit = 1
    }
    const controller = new AbortController()
    const wrong: readonly unknown[] = [
      null,
      1,
      'a',
      true,
      [],
      () => 1,
      new Map(),
      new Date(),
      Promise.resolve({}),
    ]
    for (const options of [...wrong, controller.signal, Object.create({ limit: 1 }), new Page()]) {
      expect(() => checkOptions(options, KNOWN, 'options')).toThrow(TypeError)
    }
    expect(() => checkOptions(Promise.resolve({}), KNOWN, 'page')).toThrow(
      'page must be a plain object, not an instance of Promise',
    )
  })
  test('is not disturbed by names that somebody gave to all objects', () => {
    const [good, bad] = vm.runInNewContext(
      'Object.prototype.everywhere = 1; [{ limit: 1 }, { limit: 1, everywhere: 2 }]',
    ) as readonly unknown[]
    checkOptions(good, KNOWN, 'options')
    expect(() => checkOptions(bad, KNOWN, 'options')).toThrow("unknown name 'everywhere'")
  })
})

describe('checks of values', () => {
  test('return a value of the right type and bounds', () => {
    expect(checkString('', 'prefix')).toBe('')
    expect(checkBoolean(false, 'flush')).toBe(false)
    expect(checkInteger(0, 'n', 0)).toBe(0)
    expect(checkInteger(Number.MAX_SAFE_INTEGER, 'n', 0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(checkInteger(5, 'n', 1, 5)).toBe(5)
    expect(checkChoice('b', 'choice', ['a', 'b'])).toBe('b')
    const { signal } = new AbortController()
    expect(checkSignal(signal, 'signal')).toBe(signal)
    checkFunction(() => 1, 'onProgress')
  })
  test('throw a TypeError for another type, naming both', () => {
    const checks: readonly (readonly [(value: unknown) => unknown, readonly unknown[]])[] = [
      [(value) => checkString(value, 'x'), [null, 1, {}, ['a'], undefined]],
      [(value) => checkBoolean(value, 'x'), [null, 0, 'true', undefined]],
      [(value) => checkInteger(value, 'x', 0), [null, '1', 1n, undefined, {}]],
      [(value) => checkChoice(value, 'x', ['a']), [null, 1, ['a'], undefined]],
      [
        (value) => checkSignal(value, 'x'),
        [null, 1, {}, new AbortController(), undefined, { aborted: false }],
      ],
      [(value) => checkFunction(value, 'x'), [null, {}, 'f', undefined]],
    ]
    for (const [check, values] of checks) {
      for (const value of values) expect(() => check(value)).toThrow(TypeError)
      expect(() => check(null)).toThrow(/^x must be .*null$/)
    }
  })
  test('throw a RangeError for a value out of bounds', () => {
    for (const value of [-1, 6, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expect(() => checkInteger(value, 'n', 0, 5)).toThrow(RangeError)
    }
    expect(() => checkInteger(6, 'n', 0, 5)).toThrow('n must be an integer from 0 to 5, not 6')
    expect(() => checkChoice('tre', 'durability', ['journal', 'tree'])).toThrow(
      new RangeError("durability: unknown value 'tre'; did you mean 'tree'?"),
    )
  })
  test('take a signal of another realm by what it can do', () => {
    const signal = { aborted: false, addEventListener: () => {}, removeEventListener: () => {} }
    expect(checkSignal(signal, 'signal')).toBe(signal)
    const endless = { aborted: false, addEventListener: () => {} }
    expect(() => checkSignal(endless, 'signal')).toThrow(TypeError)
  })
})
