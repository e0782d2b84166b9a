import { describe, expect, test } from 'vitest'
import type { OpenOptions } from '../src/api.js'
import type { Backend } from '../src/backend/backend.js'
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js'
import { checkOpenOptions, resolveLimits } from '../src/open-options.js'
import { BASE_DEFAULTS } from '../src/options.js'

const unused = (): never => {
  throw new Error('checking options calls nothing')
}
const backend: Backend = {
  name: 'unused',
  supports: { exclusive: true, commitsInFlight: 1 },
  open: unused,
  ready: unused,
  commit: unused,
  allocateRevision: unused,
  namespaces: unused,
  load: unused,
  heads: unused,
  read: unused,
  materialized: unused,
  flush: unused,
  close: unused,
}

const act = (options: unknown) => (): unknown => checkOpenOptions(options as OpenOptions)

describe('checkOpenOptions', () => {
  test('fills in the documented defaults', () => {
    expect(checkOpenOptions({ root: '/tmp/x' })).toEqual({
      kind: 'file',
      root: '/tmp/x',
      defaults: BASE_DEFAULTS,
      limits: DEFAULT_LIMITS,
      ownerWaitMs: 0,
      workers: 4,
      workerUrl: null,
      mode: { file: 0o600, directory: 0o700 },
      ownThread: false,
      threadUrl: null,
      socket: true,
    })
    expect(checkOpenOptions({ backend })).toEqual({
      kind: 'backend',
      backend,
      defaults: BASE_DEFAULTS,
      limits: DEFAULT_LIMITS,
    })
  })
  test('takes every option', () => {
    const workerUrl = new URL('file:///worker.js')
    const settings = checkOpenOptions({
      root: 'relative',
      writer: { workerId: 'k' },
      conflictPolicy: 'warn',
      detect: 'writer-change',
      durability: 'tree',
      repairMetadata: true,
      limits: { keyBytesMax: 10 },
      ownerWaitMs: 1000,
      workers: 64,
      workerUrl,
      mode: { file: 0o640, directory: 0o750 },
      ownThread: true,
      threadUrl: workerUrl,
    })
    expect(settings).toMatchObject({
      kind: 'file',
      root: 'relative',
      ownerWaitMs: 1000,
      workers: 64,
      workerUrl,
      ownThread: true,
      threadUrl: workerUrl,
    })
    expect(settings).toMatchObject({ mode: { file: 0o640, directory: 0o750 } })
    expect(settings.limits.keyBytesMax).toBe(10)
    expect(settings.defaults).toEqual({
      writer: { writerId: 'k', workerId: 'k' },
      conflictPolicy: 'warn',
      detect: 'writer-change',
      durability: 'tree',
      repairMetadata: true,
      signal: undefined,
    })
    expect(checkOpenOptions({ backend, root: undefined, durability: 'tree' }).defaults.durability).toBe(
      'tree',
    )
  })
  test('needs a root or a backend, and not both', () => {
    for (const options of [undefined, null, 'root', [], {}, { writer: {} }])
      expect(act(options)).toThrow(TypeError)
    expect(act({ root: '/tmp/x', backend })).toThrow('not both')
    expect(act({ root: 1 })).toThrow(TypeError)
    expect(act({ root: new URL('file:///tmp') })).toThrow(TypeError)
    for (const root of ['', 'a\0b', 'a\ud800']) expect(act({ root })).toThrow(RangeError)
  })
  test('refuses unknown names with the closest one, and options of files beside a backend', () => {
    expect(act({ root: 'x', owner_wait_ms: 1 })).toThrow("did you mean 'ownerWaitMs'?")
    expect(act({ root: 'x', conflictpolicy: 'warn' })).toThrow("did you mean 'conflictPolicy'?")
    expect(act({ backend, workers: 2 })).toThrow(TypeError)
    expect(act({ backend, mode: { file: 0o600, directory: 0o700 } })).toThrow(TypeError)
  })
  test('refuses what is not a backend and names what it lacks', () => {
    expect(act({ backend: 'memory' })).toThrow(TypeError)
    expect(act({ backend: null })).toThrow(TypeError)
    expect(act({ backend: () => backend })).toThrow(TypeError)
    expect(act({ backend: { ...backend, commit: 1 } })).toThrow('no method commit()')
  })
  test('bounds waiting and workers (I9)', () => {
    for (const ownerWaitMs of [-1, 0.5, Infinity, 2 ** 31, Number.NaN]) {
      expect(act({ root: 'x', ownerWaitMs })).toThrow(RangeError)
    }
    for (const workers of [0, 65, 1.5]) expect(act({ root: 'x', workers })).toThrow(RangeError)
    for (const workers of [1, 64]) expect(checkOpenOptions({ root: 'x', workers })).toMatchObject({ workers })
    expect(checkOpenOptions({ root: 'x', ownerWaitMs: 2 ** 31 - 1 })).toMatchObject({
      ownerWaitMs: 2 ** 31 - 1,
    })
    expect(act({ root: 'x', workers: '2' })).toThrow(TypeError)
    expect(act({ root: 'x', workerUrl: './worker.js' })).toThrow(TypeError)
  })
  test('refuses permissions under which the store could not use its own files', () => {
    for (const mode of [
      { file: 0o400, directory: 0o700 },
      { file: 0o600, directory: 0o600 },
      { file: 0o1600, directory: 0o700 },
      { file: -1, directory: 0o700 },
    ]) {
      expect(act({ root: 'x', mode })).toThrow(RangeError)
    }
    for (const mode of [
      0o700,
      { file: 0o600 },
      { directory: 0o700 },
      { file: '600', directory: 0o700 },
      { files: 1 },
    ]) {
      expect(act({ root: 'x', mode })).toThrow(TypeError)
    }
    expect(act({ root: 'x', mode: { file: 0o400, directory: 0o700 } })).toThrow(
      'mode.file must include 0o600, but is 0o400',
    )
  })
})

describe('resolveLimits', () => {
  test('puts what is given in place of the defaults', () => {
    expect(resolveLimits(undefined)).toBe(DEFAULT_LIMITS)
    expect(resolveLimits({})).toEqual(DEFAULT_LIMITS)
    expect(resolveLimits({ keyBytesMax: undefined })).toEqual(DEFAULT_LIMITS)
    expect(resolveLimits({ keyBytesMax: 1, spaceWaitMs: 0 })).toEqual({
      ...DEFAULT_LIMITS,
      keyBytesMax: 1,
      spaceWaitMs: 0,
    })
    expect(Object.isFrozen(resolveLimits({ keyBytesMax: 1 }))).toBe(true)
  })
  test('takes positive integers for every limit, and 0 only for a time', () => {
    for (const name of Object.keys(DEFAULT_LIMITS)) {
      expect(resolveLimits({ [name]: 7 })).toEqual({ ...DEFAULT_LIMITS, [name]: 7 })
      for (const value of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        expect(() => resolveLimits({ [name]: value })).toThrow(RangeError)
      }
      for (const value of ['7', null, 7n]) expect(() => resolveLimits({ [name]: value })).toThrow(TypeError)
      if (name !== 'spaceWaitMs') expect(() => resolveLimits({ [name]: 0 })).toThrow(`limits.${name}`)
    }
    expect(() => resolveLimits({ spaceWaitMs: 2 ** 31 })).toThrow(RangeError)
  })
  test('takes no limit beyond what a record and a frame of the journal can say', () => {
    const largest = { keyBytesMax: 65_535, valueBytesMax: 2 ** 30, queueBytesMax: 2 ** 31 }
    expect(resolveLimits(largest)).toMatchObject(largest)
    for (const [name, value] of Object.entries(largest)) {
      expect(() => resolveLimits({ [name]: value + 1 })).toThrow(RangeError)
    }
  })
  test('refuses unknown names with the closest one', () => {
    expect(() => resolveLimits({ keyBytes: 1 } as Partial<Limits>)).toThrow("did you mean 'keyBytesMax'?")
    expect(() => resolveLimits(null as never)).toThrow(TypeError)
  })
})
