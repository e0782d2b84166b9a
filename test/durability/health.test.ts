/**
 * What `health` says of a disk that does not answer and of a turn that is not given back: as long as it is so, and no
 * longer. All of it in simulated time.
 */
import { expect, test } from 'vitest'
import type { Store } from '../../src/api.js'
import { deferred } from '../../src/contract/observe.js'
import { DiskState } from './support/disk/disk-state.js'
import { Machine } from './support/disk/machine.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'

const { seed } = tortureSettings()

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const HOURS_MS = 3 * 3_600_000

async function onMachine(act: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = new Machine(new DiskState(), new Random(seed))
  await machine.run(() => act(machine))
}

async function problemsOf(store: Store): Promise<readonly string[]> {
  const { status, problems } = await store.health()
  expect(status).toBe(problems.length === 0 ? 'ok' : 'degraded')
  return problems
}

test('a sync that does not return is said to be waited for as long as it lasts, and how much waits behind it', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open({ groupOperationsMax: 2 })
    const session = await store.init('n')
    await store.flush()
    const hanging = deferred()
    machine.holdSyncs(hanging.promise)
    const writes = ['a', 'b', 'c'].map((key) => session.write(key, ''))
    await wait(HOURS_MS)
    expect(await problemsOf(store)).toEqual([
      'a commit group has been waiting for the disk for 3 h, and 1 operation waits behind it',
    ])
    expect((await store.metrics()).commitWaitMs).toBeGreaterThanOrEqual(HOURS_MS - 10_000)
    hanging.resolve()
    await Promise.all(writes)
    await store.flush()
    await wait(HOURS_MS)
    expect(await store.health()).toEqual({ status: 'ok', problems: [] })
    expect(await store.metrics()).toMatchObject({ commitWaitMs: 0 })
    await store.close()
  }))

test('syncs that were slow are forgotten when that is over, but for the totals', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open()
    const session = await store.init('n')
    await store.flush()
    const hanging = deferred()
    machine.holdSyncs(hanging.promise)
    const write = session.write('a', '')
    await wait(5000)
    hanging.resolve()
    await write
    expect(await problemsOf(store)).toContainEqual(
      expect.stringMatching(/^the disk is slow: .* took \d{4} ms$/),
    )
    await wait(HOURS_MS)
    expect(await store.health()).toEqual({ status: 'ok', problems: [] })
    const { backend } = await store.metrics()
    expect(backend!.recentSyncMs.count).toBe(0)
    expect(backend!.syncMs.max).toBeGreaterThan(4000)
    await store.close()
  }))

test('a worker that does not come back is said to hold up the files', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open()
    const session = await store.init('n')
    await store.flush()
    const hanging = deferred()
    machine.tasksHeldUntil = (kind) => (kind === 'materialize' ? hanging.promise : Promise.resolve())
    await session.write('a', '')
    await wait(HOURS_MS)
    expect(await problemsOf(store)).toEqual([
      'the tree is 1 key behind, and a worker has been at it for 3 h: it hangs, or its disk does',
    ])
    hanging.resolve()
    await store.flush()
    expect((await problemsOf(store)).join()).not.toContain('behind')
    await store.close()
  }))

test('a turn that is not given back is told with its key, who has it, since when, and how many wait; then no more', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open()
    const ann = await store.init('n', { writer: { writerId: 'ann' } })
    const held = deferred<string>()
    const begun = deferred()
    const holding = ann.update('k', () => {
      begun.resolve()
      return held.promise
    })
    await begun.promise
    await wait(45_000)
    // A long time, but nobody wants it.
    expect((await problemsOf(store)).join()).not.toContain("'k'")
    const waiting = [0, 1].map(() => ann.update('k', (value) => `${value}!`))
    await wait(1)
    expect(await problemsOf(store)).toContainEqual(
      expect.stringMatching(
        /^an update by 'ann' holds 'k' in namespace 'n' for 45 s, since 20\d\d-.*Z: 2 others wait for it$/,
      ),
    )
    await wait(HOURS_MS)
    expect(await problemsOf(store)).toEqual([
      expect.stringMatching(/^an update by 'ann' holds 'k' in namespace 'n' for 3 h, .*: 2 others wait/),
    ])
    const { updates } = await store.metrics()
    expect(updates).toMatchObject({
      held: 1,
      waiting: 2,
      holders: [{ namespace: 'n', key: 'k', writer: { writerId: 'ann' }, isConnected: false, waiting: 2 }],
    })
    held.resolve('1')
    await Promise.all([holding, ...waiting])
    expect((await problemsOf(store)).join()).not.toContain("'k'")
    expect((await store.metrics()).updates).toEqual({ held: 0, waiting: 0, longestMs: 0, holders: [] })
    await store.close()
  }))
