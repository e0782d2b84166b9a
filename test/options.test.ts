import { describe, expect, test } from 'vitest'
import type { Defaults, Page, Wait, WriteOptions } from '../src/api.js'
import {
  BASE_DEFAULTS,
  checkCloseOptions,
  checkFilter,
  checkPage,
  checkRevisionCondition,
  checkWatchOptions,
  resolveDefaults,
  resolveSignal,
  resolveUpdateOptions,
  resolveWriteOptions,
} from '../src/options.js'

const { signal } = new AbortController()
const FULL = {
  conflictPolicy: 'error',
  detect: 'writer-change',
  durability: 'tree',
  repairMetadata: true,
  signal,
} as const

describe('resolveDefaults', () => {
  test('starts from the documented defaults', () => {
    expect(BASE_DEFAULTS).toEqual({
      writer: null,
      conflictPolicy: 'ignore',
      detect: 'lost-update',
      durability: 'journal',
      repairMetadata: false,
      signal: undefined,
    })
    expect(Object.isFrozen(BASE_DEFAULTS)).toBe(true)
  })
  test('leaves the wider settings where nothing or undefined is given', () => {
    const wide = resolveDefaults(BASE_DEFAULTS, { ...FULL, writer: { writerId: 'w' } })
    expect(resolveDefaults(wide, undefined)).toBe(wide)
    expect(resolveDefaults(wide, {})).toEqual(wide)
    const undefinedNames: Defaults = { writer: undefined, conflictPolicy: undefined, signal: undefined }
    expect(
      resolveDefaults(wide, { ...undefinedNames, detect: undefined, repairMetadata: undefined }),
    ).toEqual(wide)
  })
  test('replaces a wider setting whole: a writer is never mixed from two', () => {
    const wide = resolveDefaults(BASE_DEFAULTS, {
      writer: { writerId: 'w', stageId: 's' },
      durability: 'tree',
    })
    const narrow = resolveDefaults(wide, { writer: { workerId: 'k' }, repairMetadata: true })
    expect(narrow).toEqual({
      ...BASE_DEFAULTS,
      writer: { writerId: 'k', workerId: 'k' },
      durability: 'tree',
      repairMetadata: true,
    })
    expect(Object.isFrozen(narrow)).toBe(true)
    expect(wide.writer).toEqual({ writerId: 'w', stageId: 's' })
  })
  test('takes a writer without ids for nobody', () => {
    const wide = resolveDefaults(BASE_DEFAULTS, { writer: { writerId: 'w' } })
    expect(resolveDefaults(wide, { writer: {} }).writer).toBeNull()
    expect(() => resolveDefaults(wide, { writer: null } as unknown as Defaults)).toThrow(TypeError)
  })
  test('refuses unknown names and unknown values, naming the closest', () => {
    const act = (narrow: unknown) => (): unknown => resolveDefaults(BASE_DEFAULTS, narrow as Defaults)
    expect(act({ conflict_policy: 'warn' })).toThrow("did you mean 'conflictPolicy'?")
    expect(act({ ifRevision: 1 })).toThrow(TypeError)
    expect(act({ root: '/tmp' })).toThrow(TypeError)
    expect(act({ conflictPolicy: 'strikt' })).toThrow(
      new RangeError("agent_state: unknown conflict policy 'strikt'; did you mean 'strict'?"),
    )
    expect(act({ conflictPolicy: 'strict' })).toThrow("did you mean 'error'?")
    expect(act({ detect: 'lost-updates' })).toThrow(
      new RangeError("detect: unknown value 'lost-updates'; did you mean 'lost-update'?"),
    )
    expect(act({ durability: 'disk' })).toThrow(
      new RangeError("durability: unknown value 'disk'; known are journal, tree"),
    )
    for (const wrong of [
      { repairMetadata: 1 },
      { signal: {} },
      { writer: 'ann' },
      { durability: 1 },
      null,
      'x',
      [],
    ]) {
      expect(act(wrong)).toThrow(TypeError)
    }
  })
})

describe.each([
  ['resolveWriteOptions', resolveWriteOptions],
  ['resolveUpdateOptions', resolveUpdateOptions],
])('%s', (_, resolve) => {
  const defaults = resolveDefaults(BASE_DEFAULTS, { writer: { writerId: 'w' }, durability: 'tree' })
  test('gives the defaults themselves where no options are given', () => {
    expect(resolve(defaults, undefined)).toBe(defaults)
  })
  test('puts what is given over the defaults; the writer stays', () => {
    expect(resolve(defaults, {})).toEqual(defaults)
    expect(resolve(defaults, { conflictPolicy: 'warn' })).toEqual({ ...defaults, conflictPolicy: 'warn' })
    expect(resolve(defaults, FULL)).toEqual({ ...FULL, writer: defaults.writer })
    expect(resolve(defaults, { durability: undefined })).toEqual(defaults)
  })
  test('refuses a writer, unknown names and wrong values', () => {
    const act = (options: unknown) => (): unknown => resolve(defaults, options as WriteOptions)
    expect(act({ writer: { writerId: 'v' } })).toThrow(TypeError)
    expect(act({ durabilty: 'tree' })).toThrow("did you mean 'durability'?")
    expect(act({ conflictPolicy: 'none' })).toThrow(RangeError)
    expect(act({ conflictPolicy: null })).toThrow(TypeError)
    expect(act(signal)).toThrow(TypeError)
    expect(act(null)).toThrow(TypeError)
  })
})

describe('conditions', () => {
  test('are options of a write, not of an update', () => {
    expect(resolveWriteOptions(BASE_DEFAULTS, { ifRevision: 1, seenRevision: null })).toEqual(BASE_DEFAULTS)
    expect(() => resolveUpdateOptions(BASE_DEFAULTS, { ifRevision: 1 } as WriteOptions)).toThrow(TypeError)
  })
  test('are a revision, null for a missing key, or undefined for none', () => {
    for (const value of [undefined, null, 0, 1, Number.MAX_SAFE_INTEGER]) {
      expect(checkRevisionCondition(value)).toBe(value)
      expect(checkRevisionCondition(value, 'seenRevision')).toBe(value)
    }
    for (const value of [-1, 1.5, Number.NaN, Infinity, 2 ** 53]) {
      expect(() => checkRevisionCondition(value)).toThrow(RangeError)
    }
    for (const value of ['1', 1n, {}, true]) expect(() => checkRevisionCondition(value)).toThrow(TypeError)
    expect(() => checkRevisionCondition('1', 'seenRevision')).toThrow('seenRevision must be a number')
  })
})

describe('resolveSignal', () => {
  test('prefers the signal of the call', () => {
    const other = new AbortController().signal
    expect(resolveSignal(undefined, undefined)).toBeUndefined()
    expect(resolveSignal(undefined, signal)).toBe(signal)
    expect(resolveSignal({}, signal)).toBe(signal)
    expect(resolveSignal({ signal: undefined }, signal)).toBe(signal)
    expect(resolveSignal({ signal: other }, signal)).toBe(other)
  })
  test('refuses anything else, a bare signal included', () => {
    for (const options of [
      signal,
      { signals: signal },
      { signal: null },
      { signal: 1 },
      { durability: 'tree' },
    ]) {
      expect(() => resolveSignal(options as Wait, undefined)).toThrow(TypeError)
    }
  })
})

describe('other options', () => {
  test('a page has a prefix, a start, a limit of 1 or more, a direction and a signal', () => {
    checkPage(undefined)
    checkPage({})
    checkPage({ prefix: '', after: 'a', limit: 1, reverse: false, signal })
    checkPage({
      prefix: undefined,
      after: undefined,
      limit: undefined,
      reverse: undefined,
      signal: undefined,
    })
    for (const limit of [0, -1, 1.5, Infinity]) expect(() => checkPage({ limit })).toThrow(RangeError)
    for (const page of [
      { prefix: 1 },
      { after: null },
      { limit: '1' },
      { reverse: 1 },
      { signal: 1 },
      'a',
      null,
    ]) {
      expect(() => checkPage(page as Page)).toThrow(TypeError)
    }
    expect(() => checkPage({ prefx: 'a' } as Page)).toThrow("did you mean 'prefix'?")
  })
  test('a watch has a prefix, a revision of 0 or more to start after, a start and a signal', () => {
    checkWatchOptions(undefined)
    checkWatchOptions({ prefix: 'a', afterRevision: 0, initial: true, signal })
    expect(() => checkWatchOptions({ afterRevision: -1 })).toThrow(RangeError)
    for (const wrong of [
      { afterRevision: null },
      { initial: 'yes' },
      { prefix: 1 },
      { signal: {} },
      { limit: 1 },
    ]) {
      expect(() => checkWatchOptions(wrong as never)).toThrow(TypeError)
    }
  })
  test('a filter has a namespace and a signal', () => {
    checkFilter(undefined)
    checkFilter({ namespace: 'a', signal })
    for (const wrong of [{ namespace: 1 }, { signal: 'x' }, { key: 'a' }, 'a']) {
      expect(() => checkFilter(wrong as never)).toThrow(TypeError)
    }
  })
  test('a close has flush, a progress function and a signal', () => {
    checkCloseOptions(undefined)
    checkCloseOptions({ flush: false, onProgress: () => undefined, signal })
    for (const wrong of [{ flush: 0 }, { onProgress: true }, { signal: 1 }, { flsh: true }, null]) {
      expect(() => checkCloseOptions(wrong as never)).toThrow(TypeError)
    }
  })
})
