import { expect, test } from 'vitest'
import { iteratorOf, record, take } from '../../src/contract/observe.js'
import { EVENT_WINDOW } from '../../src/remote/wire.js'
import { collectGarbage } from '../helpers/collect-garbage.js'
import { hosted, until } from './hosted.js'
import { COUNTER } from './support/thread-notes.mjs'
import { startThread } from './threads.js'

const EVENT_BUFFER_MAX = 1000
const LARGE_BYTES = 1024 * 1024
const CHANGES = 20_000

async function memoryUsed(): Promise<number> {
  await collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

test('I9: a thread that blocks its event loop slows nobody, takes bounded memory, and learns what it has missed', async () => {
  const { store, ports } = await hosted({ eventBufferMax: EVENT_BUFFER_MAX, historyMax: 10 })
  const session = await store.init('n')
  await session.write('large', new Uint8Array(LARGE_BYTES))
  const thread = startThread('blocked', store.createPort())
  await thread.said('blocked')
  // All that it has asked for is here.
  await until(() => ports.counts.calls > 0 && ports.counts.watches === 1)
  const followed = iteratorOf(session.watch())
  const changes = record(store.events, 'change', { namespace: 'n' })
  const write = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => session.write(`k${index}`, '')))
      // Others are told at once.
      expect((await take(followed, 100)).length).toBe(100)
    }
  }
  await (await store.init('elsewhere')).write('k', '')
  await write(CHANGES / 4)
  const before = await memoryUsed()
  await write((CHANGES / 4) * 3)
  const after = await memoryUsed()
  expect(changes.items.length).toBe(CHANGES)
  // Had it kept them, each event would take some hundred bytes.
  expect(after - before).toBeLessThan(CHANGES * 100)
  expect(Atomics.load(thread.counters, COUNTER.EVENTS)).toBe(0)

  Atomics.store(thread.counters, COUNTER.AWAKE, 1)
  Atomics.notify(thread.counters, COUNTER.AWAKE)
  const report = (await thread.said('report')) as unknown as Report
  const all = 1 + CHANGES + 1
  const { received, missed, keys } = report.changes
  expect(received + missed).toBe(all)
  // What was sent ahead and what waited at the store, and then what it did itself.
  expect(received).toBe(EVENT_WINDOW + EVENT_BUFFER_MAX + 1)
  const written = ['k', ...changes.items.map(({ key }) => key)]
  expect(keys).toEqual([...written.slice(0, received - 1), 'awake'])
  expect(report.elsewhere).toEqual({ received: 1, missed: 0, keys: ['k'] })
  expect(report.watched).toMatchObject({ received: EVENT_BUFFER_MAX, end: 'WATCH_OVERFLOW' })
  expect(report.watched.lastRevision).toBe(changes.items[EVENT_BUFFER_MAX - 1]!.revision)
  expect(report.warnings).toEqual(['EVENTS_LAGGED'])
  expect(report.reads).toEqual(Array.from({ length: 40 }, () => LARGE_BYTES))
  expect(Atomics.load(thread.counters, COUNTER.EVENTS)).toBe(received)
  changes.stop()
  await followed.return?.()
})

interface Report {
  readonly changes: { readonly received: number; readonly missed: number; readonly keys: readonly string[] }
  readonly elsewhere: unknown
  readonly watched: { readonly received: number; readonly end: string; readonly lastRevision: number }
  readonly reads: readonly number[]
  readonly warnings: readonly string[]
}
