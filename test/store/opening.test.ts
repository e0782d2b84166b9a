import { onTestFinished, describe, expect, test } from 'vitest'
import type { OpenOptions } from '../../src/api.js'
import { memoryBackend } from '../../src/backend/memory.js'
import { failureOf, misuse, refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'

describe('openStore', () => {
  test('options that make no sense are misuse', async () => {
    const backend = memoryBackend()
    const wrong: readonly unknown[] = [
      ...[
        undefined,
        null,
        'path',
        1,
        [],
        {},
        { root: 1 },
        { root: '' },
        { root: 'a\0b' },
        { root: 'x', backend },
      ],
      ...[{ backend: {} }, { backend: null }, { backend, ownerWaitMs: 1 }, { backend, workers: 1 }],
      ...[
        { backend, limits: 1 },
        { backend, limits: null },
        { backend, limits: { valueBytesMax: '1' } },
      ],
      ...[0, -1, NaN, Infinity, 1.5].map((max) => ({ backend, limits: { valueBytesMax: max } })),
      ...[
        { backend, conflictPolicy: 'x' },
        { backend, detect: 'x' },
        { backend, durability: 'x' },
      ],
      ...[
        { backend, writer: 'ann' },
        { backend, signal: 1 },
        { root: 'x', workers: 0 },
        { root: 'x', workers: 1.5 },
      ],
      ...[
        { root: 'x', ownerWaitMs: -1 },
        { root: 'x', mode: 0o600 },
        { root: 'x', mode: { file: 0 } },
      ],
      ...[{ root: 'x', workerUrl: 'file:///x' }],
    ]
    for (const options of wrong) {
      await misuse(() => openStore(options as OpenOptions)).catch((cause: unknown) => {
        throw new Error(`openStore(${JSON.stringify(options)})`, { cause })
      })
    }
  })

  test('a misspelt option or limit is a TypeError that names the closest known one', async () => {
    const backend = memoryBackend()
    const cases: readonly (readonly [object, string])[] = [
      [{ backend, confictPolicy: 'error' }, 'conflictPolicy'],
      [{ backend, limit: {} }, 'limits'],
      [{ backend, limits: { valueByteMax: 1 } }, 'valueBytesMax'],
      [{ rooot: 'x' }, 'root'],
      [{ root: 'x', ownerWaitMS: 1 }, 'ownerWaitMs'],
    ]
    for (const [options, name] of cases) {
      const error = await misuse(() => openStore(options as OpenOptions))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain(name)
    }
  })

  test('what was refused leaves the backend free to be opened', async () => {
    const backend = memoryBackend()
    await misuse(() => openStore({ backend, limits: { valueBytesMax: -1 } }))
    const reason = new Error('not now')
    expect(await failureOf(() => openStore({ backend, signal: AbortSignal.abort(reason) }))).toBe(reason)
    const store = await openStore({ backend })
    await store.close()
  })

  test('I10: a backend belongs to one store at a time, and is free after `close`', async () => {
    const backend = memoryBackend()
    const store = await openStore({ backend })
    const second = await refusal('STORE_OWNED', () => openStore({ backend }))
    expect(second).toMatchObject({ sameProcess: true, outcome: 'unchanged', retryable: true })
    await (await store.init('n')).write('k', '1')
    await store.close()
    const again = await openStore({ backend })
    onTestFinished(() => again.close())
    expect(await (await again.resume('n')).read('k')).toBe('1')
  })

  test('options of a session count behind a namespace that is undefined, and are not taken twice', async () => {
    const store = await openStore({ backend: memoryBackend() })
    onTestFinished(() => store.close())
    const unset = undefined as unknown as string
    const session = await store.init(unset, { writer: { writerId: 'ada' } })
    await session.write('k', '1')
    expect((await session.stat('k'))?.writer).toEqual({ writerId: 'ada' })
    const twice = { writer: { writerId: 'bob' } } as unknown as string
    await expect(store.init(twice, { conflictPolicy: 'error' })).rejects.toThrow(TypeError)
  })

  test('limits and the defaults are as documented', async () => {
    const store = await openStore({
      backend: memoryBackend(),
      limits: { valueBytesMax: undefined },
    })
    onTestFinished(() => store.close())
    const session = await store.init()
    const error = await refusal('LIMIT_EXCEEDED', () =>
      session.write('k', new Uint8Array(8 * 1024 * 1024 + 1)),
    )
    expect(error).toMatchObject({ limit: 'valueBytesMax', max: 8 * 1024 * 1024, actual: 8 * 1024 * 1024 + 1 })
    await session.write('k', new Uint8Array(8 * 1024 * 1024))
    expect((await session.stat('k'))?.size).toBe(8 * 1024 * 1024)
  })
})
