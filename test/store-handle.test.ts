import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Events } from '../src/api.js'
import { deferred, failureOf, refusal } from '../src/contract/observe.js'
import { BASE_DEFAULTS } from '../src/options.js'
import { StoreHandle, type CloseSettings, type StoreParts } from '../src/store-handle.js'
import type { StoreHost } from '../src/store-host.js'

const emitted: string[] = []
beforeEach(() => {
  emitted.length = 0
  vi.spyOn(process, 'emitWarning').mockImplementation((message) => void emitted.push(String(message)))
})
afterEach(() => void vi.restoreAllMocks())

function given(
  close: (settings: CloseSettings) => Promise<boolean>,
  metrics: StoreParts['metrics'] = () => Promise.reject(new Error('nothing is counted here')),
) {
  const closes: CloseSettings[] = []
  const parts = {
    host: { state: 'open' } as StoreHost,
    events: {} as Events,
    root: '/root',
    createPort: () => {
      throw new Error('no ports here')
    },
    metrics,
    close: (settings: CloseSettings) => {
      closes.push(settings)
      return close(settings)
    },
  }
  return { store: new StoreHandle(parts, BASE_DEFAULTS), closes }
}

describe('closing a store', () => {
  test('happens once; every call waits for it', async () => {
    const ending = deferred<boolean>()
    const { store, closes } = given(() => ending.promise)
    const calls = [store.close(), store.close({ flush: false }), store[Symbol.asyncDispose]()]
    ending.resolve(true)
    await Promise.all(calls)
    await store.close()
    expect(closes).toEqual([{ flush: true }])
  })

  test('a signal gives up the waiting, not the closing', async () => {
    const ending = deferred<boolean>()
    const { store } = given(() => ending.promise)
    const controller = new AbortController()
    const waiting = failureOf(() => store.close({ signal: controller.signal }))
    controller.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    ending.resolve(true)
    await store.close()
  })

  test('a tree that is not up to date is CLOSE_INCOMPLETE where it was to be, and that every time', async () => {
    const { store } = given(async () => false)
    expect((await refusal('CLOSE_INCOMPLETE', () => store.close())).outcome).toBe('committed')
    await refusal('CLOSE_INCOMPLETE', () => store.close())
    await given(async () => false).store.close({ flush: false })
  })

  test('misuse closes nothing', async () => {
    const { store, closes } = given(async () => true)
    for (const options of [{ flush: 1 }, { onProgress: 'x' }, { flsuh: true }, null]) {
      expect(await failureOf(() => store.close(options as object))).toBeInstanceOf(TypeError)
    }
    expect(closes).toEqual([])
  })

  test('I11: a progress callback that throws disturbs nothing, whatever it throws', async () => {
    const { store } = given(async ({ onProgress }) => {
      onProgress?.(1, 2)
      onProgress?.(2, 2)
      return true
    })
    const told: unknown[] = []
    await store.close({
      onProgress: (done, total) => {
        told.push([done, total])
        throw done === 1 ? new Error('in the callback') : Object.create(null)
      },
    })
    expect(told).toEqual([
      [1, 2],
      [2, 2],
    ])
    expect(emitted).toEqual([
      'the progress callback of close() failed: in the callback',
      'the progress callback of close() failed: what was thrown has no text',
    ])
  })
})

describe('the health of a store', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  test('that gives no answer is not waited for for ever: that it gives none is what is wrong (I11)', async () => {
    const { store } = given(
      async () => true,
      () => new Promise(() => {}),
    )
    const asked = store.health()
    await vi.advanceTimersByTimeAsync(3000)
    const problem =
      'the store gave no answer for 3 s: its thread or process is blocked or stopped, or the root has no owner at the moment'
    expect(await asked).toEqual({ status: 'degraded', problems: [problem] })
  })

  test('that can not be asked is an error, and leaves no timer behind', async () => {
    const { store } = given(async () => true)
    expect(await failureOf(() => store.health())).toMatchObject({ message: 'nothing is counted here' })
    expect(vi.getTimerCount()).toBe(0)
  })
})
