/** `AbortSignal` on everything that can wait. */
import { getEventListeners } from 'node:events'
import { expect } from 'vitest'
import type { Session, Store, Wait } from '../../api.js'
import { collect, deferred, failureOf, nextTurn } from '../observe.js'
import type { Given } from '../given.js'

export function aborting(given: Given): void {
  before(given)
  during(given)
  waitingTurns(given)
  after(given)
}

const CALLS: Readonly<Record<string, (store: Store, session: Session, wait: Wait) => unknown>> = {
  init: (store, session, wait) => store.init(`new-${session.namespace}`, wait),
  resume: (store, session, wait) => store.resume(session.namespace, wait),
  remove: (store, session, wait) => store.remove(session.namespace, wait),
  namespaces: (store, _, wait) => collect(store.namespaces(wait)),
  flush: (store, _, wait) => store.flush(wait),
  read: (_, session, wait) => session.read('k', wait),
  readBytes: (_, session, wait) => session.readBytes('k', wait),
  readJson: (_, session, wait) => session.readJson('k', wait),
  entry: (_, session, wait) => session.entry('k', wait),
  stat: (_, session, wait) => session.stat('k', wait),
  write: (_, session, wait) => session.write('k', '2', wait),
  writeJson: (_, session, wait) => session.writeJson('k', 2, wait),
  delete: (_, session, wait) => session.delete('k', wait),
  update: (_, session, wait) => session.update('k', () => '2', wait),
  batch: (_, session, wait) => session.batch([{ write: 'k', value: '2' }], wait),
  'batch of nothing': (_, session, wait) => session.batch([], wait),
  list: (_, session, wait) => session.list(wait),
  entries: (_, session, wait) => collect(session.entries(wait)),
  watch: (_, session, wait) => collect(session.watch(wait)),
  writeHandoff: (_, session, wait) => session.writeHandoff({}, wait),
  readHandoff: (_, session, wait) => session.readHandoff(wait),
}

function before(given: Given): void {
  given.test(
    'with a signal that is aborted already every call rejects with its reason, and nothing changes',
    async () => {
      const session = await given.session()
      await session.write('k', '1')
      for (const reason of [new Error('not wanted'), 'a text', undefined]) {
        const signal = AbortSignal.abort(reason)
        for (const [name, call] of Object.entries(CALLS)) {
          const error = await failureOf(() => call(given.store(), session, { signal })).catch(
            (cause: unknown) => {
              throw new Error(`${name} with an aborted signal`, { cause })
            },
          )
          expect(error, name).toBe(signal.reason)
        }
      }
      expect(await session.list()).toEqual(['k'])
      expect(await session.read('k')).toBe('1')
      await expect(given.store().resume(`new-${session.namespace}`)).rejects.toThrow()
    },
  )
  given.test('a signal among the defaults of a session holds for its calls', async () => {
    const reason = new Error('all of it')
    const session = await given.session()
    const aborted = session.with({ signal: AbortSignal.abort(reason) })
    expect(await failureOf(() => aborted.write('k', '1'))).toBe(reason)
    expect(await failureOf(() => aborted.read('k'))).toBe(reason)
    expect(await session.list()).toEqual([])
  })
  given.test('what is no signal is a TypeError', async () => {
    const session = await given.session()
    for (const wrong of [1, 'abort', {}, new AbortController(), true]) {
      for (const [name, call] of Object.entries(CALLS)) {
        const error = await failureOf(() => call(given.store(), session, { signal: wrong as AbortSignal }))
        expect(error, name).toBeInstanceOf(TypeError)
      }
    }
  })
}

function during(given: Given): void {
  given.test(
    'I8: an abort while a change is under way either leaves everything unchanged, or comes too late and the result is true',
    async () => {
      const session = await given.session()
      for (let round = 0; round < 30; round += 1) {
        const controller = new AbortController()
        const reason = new Error(`round ${round}`)
        const calls = Array.from({ length: 20 }, (_, index) =>
          session.write(`k${index}`, String(round), { signal: controller.signal }),
        )
        const settled = Promise.allSettled(calls)
        for (let turn = 0; turn < round % 7; turn += 1) await Promise.resolve()
        controller.abort(reason)
        for (const [index, result] of (await settled).entries()) {
          if (result.status === 'rejected') expect(result.reason).toBe(reason)
          const now = await session.entry(`k${index}`)
          const isWritten = now !== null && new TextDecoder().decode(now.value) === String(round)
          expect(isWritten).toBe(result.status === 'fulfilled')
        }
      }
    },
  )
}

function waitingTurns(given: Given): void {
  given.test(
    'an update that gives up waiting for its turn never runs its function; the ones behind it do',
    async () => {
      const session = await given.session()
      const gate = deferred<string>()
      const started = deferred()
      const first = session.update('k', () => {
        started.resolve()
        return gate.promise
      })
      await started.promise
      const controller = new AbortController()
      let calls = 0
      const second = session.update('k', () => ((calls += 1), 'second'), { signal: controller.signal })
      const third = session.update('k', (value) => `${value}, third`)
      const reason = new Error('no time')
      controller.abort(reason)
      expect(await failureOf(() => second)).toBe(reason)
      gate.resolve('first')
      await Promise.all([first, third])
      expect(await session.read('k')).toBe('first, third')
      expect(calls).toBe(0)
    },
  )
  given.test(
    'an update whose function never returns can be given up, and the next one has its turn',
    async () => {
      const session = await given.session()
      const controller = new AbortController()
      const started = deferred()
      const never = session.update(
        'k',
        () => {
          started.resolve()
          return new Promise<string>(() => {})
        },
        { signal: controller.signal },
      )
      const next = session.update('k', () => 'next')
      await started.promise
      const reason = new Error('no time')
      controller.abort(reason)
      expect(await failureOf(() => never)).toBe(reason)
      await next
      expect(await session.read('k')).toBe('next')
    },
  )
}

function after(given: Given): void {
  given.test('I9: a signal used for many calls keeps no listeners of those that are over', async () => {
    const session = await given.session()
    const { signal } = new AbortController()
    for (let round = 0; round < 20; round += 1) {
      await session.write('k', String(round), { signal })
      await session.read('k', { signal })
      await session.update('k', (value) => value, { signal })
      await session.batch([{ write: 'b', value: '1' }], { signal })
      await session.list({ signal })
      await collect(session.entries({ signal }))
      await session.delete('k', { signal })
      await session.write('k', '\ud800', { signal }).catch(() => {})
      await session.write('k', '', { signal, ifRevision: 1 }).catch(() => {})
      const items = session.watch({ signal })[Symbol.asyncIterator]()
      await items.return?.()
      given.store().events.on('change', () => {}, { signal, namespace: 'none' })()
      await given.store().flush({ signal })
    }
    await nextTurn()
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })
}
