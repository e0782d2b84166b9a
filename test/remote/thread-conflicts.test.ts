import { expect, test } from 'vitest'
import { deferred } from '../../src/contract/observe.js'
import { hosted } from './hosted.js'
import { run } from './support/acts/conflicting.mjs'
import { startThread } from './threads.js'

interface Report {
  readonly conflicts: number
  readonly refused: number
}

test('I3: conflicts between writers in different threads are found, and published in the same order in all of them', async () => {
  const { store } = await hosted()
  const session = await store.init('n', { writer: { writerId: 'main' } })
  const threads = ['one', 'two', 'three'].map((name) =>
    startThread('conflicting', store.createPort(), { name }),
  )
  // The main thread does the same.
  const go = deferred()
  const ready = deferred()
  const written = deferred<Report>()
  const log = deferred<{ readonly log: readonly string[] }>()
  const said: Record<string, { resolve(more: never): void }> = { ready, written, log }
  const here = run({
    store,
    name: 'main',
    say: (what: string, more: unknown) => said[what]!.resolve(more as never),
    told: () => go.promise,
  })
  await Promise.all([ready.promise, ...threads.map((thread) => thread.said('ready'))])
  for (const { worker } of threads) worker.postMessage('go')
  go.resolve()
  const reports = (await Promise.all([
    written.promise,
    ...threads.map((thread) => thread.said('written')),
  ])) as unknown as Report[]
  await session.write('end', '')
  await here
  const { log: expected } = await log.promise
  const sum = (count: (report: Report) => number): number =>
    reports.reduce((total, report) => total + count(report), 0)
  const refused = sum((report) => report.refused)
  const conflicts = sum((report) => report.conflicts)
  expect(refused).toBeGreaterThan(0)
  expect(conflicts).toBeGreaterThan(0)
  expect(expected.length).toBe(4 * 400 - refused + conflicts + refused + 1)
  for (const thread of threads) expect((await thread.said('log')).log).toEqual(expected)
})
