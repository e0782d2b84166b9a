/**
 * An event loop that stands still for seconds, because an agent computes or waits synchronously: the lock is the kernel's and
 * has no time-out, nothing is given up, no answer is lost, and what waited goes on where it was.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { openStore, type Store } from 'agent-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { iteratorOf, take } from '../../src/contract/observe.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from '../durability/support/settings.js'

const BLOCKED_MS = tortureSettings().isLong ? 20_000 : 1500
const NEVER_MS = 2 ** 31 - 1

function support(name: string): string {
  return fileURLToPath(new URL(`support/${name}`, import.meta.url))
}

function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS)
}

/** What another process is told, while this thread waits for it and does nothing else. */
function openElsewhere(root: string): string {
  const { stdout } = spawnSync(process.execPath, [support('try-open.mjs'), root], { encoding: 'utf8' })
  return stdout.trim()
}

async function opened(root: string, ownThread = false): Promise<Store> {
  const store = await openStore({ root, ownThread })
  onTestFinished(() => store.close().catch(() => {}))
  return store
}

describe.each([
  ['in this thread', false],
  ['in a thread of its own', true],
])('this thread stands still, with a store %s', (_, ownThread) => {
  test('I10, I11: the root stays owned, what is under way is answered, and watches and events lose nothing', async () => {
    const root = temporaryDirectory()
    const store = await opened(root, ownThread)
    const session = await store.init('n')
    const items = iteratorOf(session.watch())
    const events = iteratorOf(store.events.iterate('change'))
    const write = (keys: string): Promise<unknown>[] =>
      Array.from({ length: 50 }, (__, index) => session.write(`${keys}${index}`, keys))
    const writing = write('before')
    block()
    writing.push(...write('between'))
    expect(openElsewhere(root)).toBe('STORE_OWNED')
    block()
    writing.push(...write('after'))
    const treeDurable = session.write('tree', 'durable', { durability: 'tree' })
    block()
    await Promise.all([...writing, treeDurable])
    expect(store.state).toBe('open')
    expect(await session.list()).toHaveLength(151)
    expect(await take(items, 151)).toHaveLength(151)
    expect(await take(events, 151)).toHaveLength(151)
    await store.close()
    expect(openElsewhere(root)).toBe('opened')
  })
})

test('I10: who waits for the owner while its loop stands still for longer than that gets the root when it is free', async () => {
  const root = temporaryDirectory()
  const store = await opened(root)
  const waiting = openStore({ root, ownerWaitMs: NEVER_MS })
  block()
  await store.close()
  block()
  const next = await waiting
  onTestFinished(() => next.close())
  expect(next.state).toBe('open')
})

test('I3, I11: a connected thread that stands still within an update keeps its turn, and nobody else waits', async () => {
  const store = await opened(temporaryDirectory())
  const session = await store.init('n')
  const port = store.createPort()
  const released = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('support/blocking-agent.mjs', import.meta.url), {
    workerData: { port, released },
    transferList: [port],
  })
  onTestFinished(async () => void (await worker.terminate()))
  const messages: unknown[] = []
  const said = (isIt: (message: unknown) => boolean): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.once('error', reject)
      worker.on('message', (message: unknown) => {
        if (isIt(message)) resolve(message)
      })
    })
  worker.on('message', (message: unknown) => messages.push(message))
  const [ready, updating] = [
    said((message) => message === 'ready'),
    said((message) => message === 'updating'),
  ]
  const done = said((message) => typeof message === 'object')
  await ready
  await updating
  const order: string[] = []
  const inTurn = session
    .update('shared', (text) => `${text ?? ''}main `)
    .then(() => order.push('the update that came second'))
  for (let index = 0; index < 100; index++) await session.write(`watched/${index}`, 'v')
  order.push('writes of other keys')
  Atomics.store(released, 0, 1)
  Atomics.notify(released, 0)
  const { watched } = (await done) as { watched: string[] }
  await inTurn
  expect(order).toEqual(['writes of other keys', 'the update that came second'])
  expect(watched).toEqual(Array.from({ length: 100 }, (_, index) => `watched/${index}`))
  expect(await session.read('shared')).toBe('agent main ')
  expect(await session.read('after')).toBe('the thread goes on')
})
