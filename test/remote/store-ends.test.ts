import { rm } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import { BroadcastChannel } from 'node:worker_threads'
import { openStore, type EventMap, type Store } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { deferred, failureOf, iteratorOf, refusal } from '../../src/contract/observe.js'
import { makeRoot } from '../helpers/file-stores.js'
import { run } from './support/acts/busy.mjs'
import { ASKED, COUNTERS } from './support/thread-notes.mjs'
import { checkContents, type Noted } from './thread-contents.js'
import { startThread } from './threads.js'

async function freshRoot(): Promise<string> {
  const root = await makeRoot()
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  return root
}

async function checkReopened(root: string, noted: Readonly<Record<string, Noted>>): Promise<void> {
  const store = await openStore({ root })
  await checkContents(await store.resume('swarm'), noted)
  await store.close()
}

/** What threads do, done by this one. */
function startHere(store: Store, name: string, endAt: number) {
  const marks = new Uint8Array(1_000_000)
  const counters = new Int32Array(COUNTERS)
  const said = { holds: deferred(), reached: deferred(), done: deferred<{ failures: Set<string> }>() }
  void run({
    store,
    name,
    marks,
    endAt,
    end: undefined,
    port: undefined,
    count: (counter: number) => (counters[counter]! += 1),
    say: (what: keyof typeof said, more: unknown) => said[what].resolve(more as never),
    told: () => new Promise(() => {}),
  })
  return { marks, counters, said: async (what: keyof typeof said) => said[what].promise as Promise<unknown> }
}

describe('I11: while thousands of calls of several threads are under way', () => {
  test('a store that is closed makes what was acknowledged and nothing else; every call is answered', async () => {
    const root = await freshRoot()
    const store = await openStore({ root })
    const threads = ['one', 'two', 'three'].map((name) => {
      return [name, startThread('busy', store.createPort(), { name, endAt: 1000 })] as const
    })
    await Promise.all(threads.map(([, thread]) => thread.said('reached')))
    const closing = store.close()
    for (const [, thread] of threads) {
      const { failures } = await thread.said('done')
      expect(failures).toEqual(new Set(['DISCONNECTED']))
      // None was left without an answer.
      expect(thread.marks.includes(ASKED)).toBe(false)
    }
    await closing
    await checkReopened(root, Object.fromEntries(threads))
  })

  for (const way of ['exit', 'throw', 'memory'] as const) {
    test(`a store's own thread that dies (${way}) leaves no call unanswered, and what it acknowledged is there`, async () => {
      const root = await freshRoot()
      // Of the threads that are started from now on.
      if (way === 'memory') setFlagsFromString('--max-old-space-size=100')
      const threadUrl = new URL('./support/dying-store-thread.mjs', import.meta.url)
      const store = await openStore({ root, ownThread: true, threadUrl })
      setFlagsFromString('--max-old-space-size=0')
      const here = startHere(store, 'here', 1000)
      const there = startThread('busy', store.createPort(), { name: 'there', endAt: 1000 })
      const closed: EventMap['closed'][] = []
      store.events.on('closed', (event) => closed.push(event))
      const session = await store.init('swarm')
      const items = iteratorOf(session.watch({ prefix: 'none/' }))
      const next = items.next()
      const update = failureOf(() => session.update('own', () => new Promise<string>(() => {})))
      const noted = { here, there }
      await Promise.all([here.said('reached'), there.said('reached')])
      const channel = new BroadcastChannel(root)
      channel.postMessage(way)
      for (const { said } of [here, there]) {
        const { failures } = (await said('done')) as { failures: Set<string> }
        expect(failures.size).toBeGreaterThan(0)
        for (const code of failures) expect(['DISCONNECTED', 'OUTCOME_UNKNOWN']).toContain(code)
      }
      channel.close()
      expect(await update).toMatchObject({ code: 'DISCONNECTED', outcome: 'unchanged' })
      expect((await next).done).toBe(true)
      expect(closed).toEqual([{ flushed: false }])
      expect(store.state).toBe('closed')
      const { cause } = await refusal('DISCONNECTED', () => session.read('k'))
      if (way === 'throw') expect(cause).toMatchObject({ message: 'the store crashed' })
      if (way === 'memory') expect(cause).toMatchObject({ code: 'ERR_WORKER_OUT_OF_MEMORY' })
      await refusal('CLOSE_INCOMPLETE', () => store.close())
      await store.close().catch(() => {})
      await checkReopened(root, noted)
    })
  }
})
