/**
 * What users hand to a store may throw, reject, never answer, or do harm: listeners, functions of updates, schemas, values
 * with getters, consumers of iterators, progress callbacks. The call that it belongs to is told; everything else goes on.
 */
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { EventMap, Operation, Schema, Session, Store } from '../../src/api.js'
import { failureOf, nextTurn, record, refusal } from '../../src/contract/observe.js'
import { openStore } from '../../src/store.js'
import { fastBackend } from '../damage/support/left-root.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'

let store: Store
let session: Session
const unhandled: unknown[] = []

beforeEach(async () => {
  store = await openStore({ backend: fastBackend(temporaryDirectory()) })
  session = await store.init('n', { writer: { writerId: 'ada' } })
  unhandled.length = 0
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  onTestFinished(async () => {
    // Whatever was done, the store works, closes, and nothing reached the process.
    await session.write('after', 'all')
    expect(await session.read('after')).toBe('all')
    await store.close()
    await nextTurn()
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
    expect(unhandled).toEqual([])
  })
})

/** What is thrown is not always an error, and looking at it may throw as well. */
const THROWN: readonly (readonly [string, () => unknown])[] = [
  ['an error', () => new Error('of the user')],
  ['undefined', () => undefined],
  ['null', () => null],
  ['a symbol', () => Symbol('thrown')],
  ['an object without a prototype', () => Object.create(null)],
  [
    'an object that can not be looked at',
    () =>
      new Proxy(
        {},
        {
          get() {
            throw new Error('no')
          },
          getPrototypeOf() {
            throw new Error('no')
          },
        },
      ),
  ],
  ['an error whose message is a trap', () => Object.defineProperty(new Error('x'), 'message', { get: fail })],
  ['a text that can not be made', () => ({ toString: fail, [Symbol.toPrimitive]: fail })],
]

/** Looks at nothing of what was thrown. */
async function failsWith(call: Promise<unknown>, error: unknown): Promise<boolean> {
  try {
    await call
  } catch (thrown) {
    return thrown === error
  }
  return false
}

/** An async function passes for one that gives nothing. */
const rejects = (() => Promise.reject(new Error('from a promise'))) as unknown as () => void

function fail(): never {
  throw new Error('a trap')
}

describe.each(THROWN)('%s that is thrown', (_, thrown) => {
  test('by listeners, at once or later, becomes a warning; the others and the writer hear what they should', async () => {
    const warnings = record(store.events, 'warning')
    store.events.on('change', () => {
      throw thrown()
    })
    store.events.on('change', async () => {
      throw thrown()
    })
    const heard: string[] = []
    store.events.on('change', ({ key }) => heard.push(key))
    await session.write('k', 'v')
    expect(heard).toEqual(['k'])
    await warnings.until(() => warnings.items.length === 2)
  })

  test('by listeners of warnings does not go round in circles', async () => {
    let heard = 0
    store.events.on('warning', () => {
      heard++
      throw thrown()
    })
    store.events.on('change', () => {
      throw thrown()
    })
    await session.write('k', 'v')
    await nextTurn()
    expect(heard).toBe(1)
  })

  test('by the function of an update is what its caller gets; the key is unchanged and free', async () => {
    await session.write('k', 'v')
    const error = thrown()
    const throwing = session.update('k', () => {
      throw error
    })
    expect(await failsWith(throwing, error)).toBe(true)
    const rejecting = session.update('k', async () => {
      await nextTurn()
      throw error
    })
    const next = session.update('k', (value) => `${value}!`)
    expect(await failsWith(rejecting, error)).toBe(true)
    await next
    expect(await session.read('k')).toBe('v!')
  })

  test('by a schema is what its caller gets', async () => {
    await session.writeJson('k', 1)
    const error = thrown()
    const schema: Schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => {
          throw error
        },
      },
    }
    expect(await failsWith(session.readJson('k', schema), error)).toBe(true)
    expect(
      await failsWith(
        session.updateJson('k', schema, () => 2),
        error,
      ),
    ).toBe(true)
    expect(await session.readJson('k')).toBe(1)
  })

  test('into an iterator, or by who reads one, ends that iterator only', async () => {
    await session.write('a', '1')
    const error = thrown()
    for (const iterable of [
      session.watch({ initial: true }),
      session.entries(),
      store.events.iterate('change'),
    ]) {
      const reading = async (): Promise<void> => {
        for await (const _item of iterable) throw error
      }
      const failing = failsWith(reading(), error)
      await session.write('b', 'for events')
      expect(await failing).toBe(true)
    }
  })
})

describe('objects with traps', () => {
  test('given as options, writers, values and operations fail their call, and change nothing', async () => {
    const trap = (name: string): object => Object.defineProperty({}, name, { get: fail, enumerable: true })
    const calls: readonly (() => Promise<unknown>)[] = [
      () => session.write('k', 'v', trap('signal')),
      () => session.write('k', 'v', trap('ifRevision')),
      () => session.write('k', trap('length') as unknown as string),
      () => session.writeJson('k', trap('value')),
      () => session.writeJson('k', { toJSON: fail }),
      () => session.batch([trap('write') as Operation]),
      () => session.batch(new Proxy([], { get: fail })),
      async () => session.with({ writer: trap('writerId') }),
      () => store.init('m', trap('writer')),
      () => session.list(trap('prefix')),
    ]
    for (const call of calls) await failureOf(call)
    expect(await session.list()).toEqual([])
    await refusal('NAMESPACE_NOT_FOUND', () => store.resume('m'))
  })

  test('a value that changes while it is written is the one that was given', async () => {
    const bytes = new TextEncoder().encode('as given')
    const writing = session.write('k', bytes)
    bytes.fill(0)
    await writing
    expect(await session.read('k')).toBe('as given')
    const found = (await session.readBytes('k'))!
    found.fill(0)
    expect(await session.read('k')).toBe('as given')
    const event = new Promise<EventMap['change']>((resolve) => store.events.on('change', resolve))
    await session.write('l', 'v')
    const writer = (await event).writer as { writerId: string }
    expect(() => {
      writer.writerId = 'forged'
    }).toThrow(TypeError)
    expect((await session.stat('l'))!.writer).toEqual({ writerId: 'ada' })
  })
})

describe('callbacks that do not come back', () => {
  test('I11: an update whose function never answers is given up by its signal, by closing at the latest', async () => {
    const controller = new AbortController()
    const never = new Promise<string>(() => {})
    const given = session.update('k', () => never, { signal: controller.signal })
    const waiting = session.update('k', () => 'next')
    controller.abort(new Error('enough'))
    expect(await failureOf(() => given)).toMatchObject({ message: 'enough' })
    await waiting
    expect(await session.read('k')).toBe('next')
    const other = await openStore({ backend: fastBackend(temporaryDirectory()) })
    const stuck = (await other.init('n')).update('k', () => never)
    const refused = refusal('STORE_CLOSED', () => stuck)
    await other.close()
    await refused
  })

  test('I3, I11: listeners that write, close, or subscribe while they are told disturb no order', async () => {
    const heard: string[] = []
    store.events.on('change', ({ key }) => {
      heard.push(key)
      if (key === 'a') {
        void session.write('from a listener', '')
        store.events.on('change', (change) => heard.push(`late ${change.key}`))
      }
    })
    await session.batch([
      { write: 'a', value: '' },
      { write: 'b', value: '' },
    ])
    await session.write('c', '')
    expect(heard.filter((key) => !key.startsWith('late'))).toEqual(['a', 'b', 'from a listener', 'c'])
    const other = await openStore({ backend: fastBackend(temporaryDirectory()) })
    const closing: Promise<void>[] = []
    other.events.on('change', () => closing.push(other.close()))
    const written = await other.init('n')
    await written.write('k', 'v')
    await closing[0]
    await refusal('STORE_CLOSED', () => written.write('k', 'w'))
  })

  test.each([
    ['throws', fail],
    ['rejects', rejects],
  ])('I11: a progress callback that %s keeps nobody from closing', async (_, onProgress) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => warned.mockRestore())
    const other = await openStore({ backend: fastBackend(temporaryDirectory()) })
    other.events.on('warning', () => {})
    const written = await other.init('n')
    await Promise.all(['a', 'b', 'c'].map((key) => written.write(key, key)))
    await other.close({ onProgress })
    expect(other.state).toBe('closed')
    expect(warned).toHaveBeenCalledWith(
      expect.stringContaining('the progress callback of close() failed'),
      expect.objectContaining({ code: 'LISTENER_FAILED' }),
    )
  })
})
