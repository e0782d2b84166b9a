import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openStore, shareStore, type FileOpenOptions } from 'agent-state'
import { expect, onTestFinished, test } from 'vitest'
import { failureOf, refusal } from '../../src/contract/observe.js'
import { makeRoot } from '../helpers/file-stores.js'
import { COUNTER } from './support/thread-notes.mjs'
import { startThread } from './threads.js'

async function freshRoot(): Promise<string> {
  const root = await makeRoot()
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  return root
}

function support(file: string): URL {
  return new URL(`./support/${file}`, import.meta.url)
}

/** A net for a test that would hang with the whole thread; far more than anything takes. */
const HANGS_MS = 100_000

test('a store in a thread of its own serves other threads while the opener blocks its event loop', async () => {
  const root = await freshRoot()
  const store = await openStore({ root, ownThread: true })
  const threads = ['one', 'two'].map((name) => startThread('steady', store.createPort(), { name }))
  await Promise.all(threads.map((thread) => thread.said('ready')))
  for (const { worker } of threads) worker.postMessage('go')
  // From here on this thread does nothing at all until they are done.
  for (const { counters } of threads) {
    expect(Atomics.wait(counters, COUNTER.ACKNOWLEDGED, 0, HANGS_MS)).not.toBe('timed-out')
  }
  const session = await store.resume('n')
  expect(await session.read('counter')).toBe('200')
  expect(await session.list({ prefix: 'one/9' })).toEqual(
    ['9', ...Array.from({ length: 10 }, (_, index) => `9${index}`)].map((name) => `one/${name}`),
  )
  await store.close()
})

test('I10: what fails while it opens is told as by any store, and leaves the root free', async () => {
  const root = await freshRoot()
  const options: FileOpenOptions = { root, ownThread: true }
  const file = join(root, 'file')
  await writeFile(file, '')
  expect(await refusal('ROOT_UNUSABLE', () => openStore({ ...options, root: file }))).toMatchObject({
    path: file,
  })

  const store = await openStore(options)
  const owned = await refusal('STORE_OWNED', () => openStore(options))
  expect(owned).toMatchObject({ pid: process.pid, sameProcess: true, retryable: true })
  await refusal('STORE_OWNED', () => openStore({ root }))
  await store.close()

  const reason = new Error('not wanted')
  const controller = new AbortController()
  const opening = failureOf(() => openStore({ ...options, signal: controller.signal }))
  controller.abort(reason)
  expect(await opening).toBe(reason)
  expect(await failureOf(() => openStore({ ...options, signal: AbortSignal.abort(reason) }))).toBe(reason)
  // What was opened in vain is closed again.
  const again = await openStore({ ...options, ownerWaitMs: HANGS_MS })
  await again.close()
})

test('I11: a thread that can not start is an error with its cause', async () => {
  const root = await freshRoot()
  const options: FileOpenOptions = { root, ownThread: true }
  const missing = await refusal('DISCONNECTED', () =>
    openStore({ ...options, threadUrl: support('none.mjs') }),
  )
  expect(missing.cause).toMatchObject({
    code: expect.stringContaining('MODULE_NOT_FOUND') as string,
  })
  // A module that is something else.
  const other = await refusal('DISCONNECTED', () =>
    openStore({ ...options, threadUrl: support('thread-notes.mjs') }),
  )
  expect(other.outcome).toBe('unchanged')
  // Nobody owns the root, so nobody is waited for.
  const shared = { ...options, threadUrl: support('none.mjs'), ownerWaitMs: HANGS_MS }
  expect((await refusal('DISCONNECTED', () => shareStore(shared))).cause).toEqual(missing.cause)
})

test('a store in a thread of its own keeps no process alive, and I1 holds when that ends', async () => {
  const root = await freshRoot()
  const run = promisify(execFile)
  await run(process.execPath, [fileURLToPath(support('leaves-open.mjs')), root])
  const store = await openStore({ root, ownThread: true })
  expect(await (await store.resume('n')).read('k')).toBe('written')
  await store.close()
})

test('what an unclean end left behind is told to the opener, who can have subscribed only afterwards', async () => {
  const root = await freshRoot()
  await promisify(execFile)(process.execPath, [fileURLToPath(support('leaves-open.mjs')), root])
  const store = await openStore({ root, ownThread: true })
  const recovered = await new Promise((resolve) => store.events.on('recovered', resolve))
  expect(recovered).toMatchObject({ preserved: 0 })
  await store.close()
})
