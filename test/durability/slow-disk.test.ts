/**
 * A disk that does not answer for a long time: what waits has a bound, whoever waits can give up, nothing is shown or
 * acknowledged early, and when the disk answers everything goes on in order (I1, I2, I3, I9, I11). All of it in simulated
 * time.
 */
import { expect, test } from 'vitest'
import { systemError } from '../../src/backend/file/file-system.js'
import { failureOf, iteratorOf, refusal, take } from '../../src/contract/observe.js'
import type { Limits } from '../../src/limits.js'
import { DiskState } from './support/disk/disk-state.js'
import { Machine, ROOT } from './support/disk/machine.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'

const { seed } = tortureSettings()

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const HOURS_MS = 3 * 3_600_000

/** A promise for the outside, and who keeps it. */
function held(): { readonly promise: Promise<void>; release(): void } {
  let release = (): void => {}
  const promise = new Promise<void>((resolve) => (release = resolve))
  return { promise, release: () => release() }
}

async function onMachine(act: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = new Machine(new DiskState(), new Random(seed))
  await machine.run(() => act(machine))
  expect(machine.disk.openCount).toBe(0)
}

async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'fulfilled' | 'rejected'> {
  const settled = promise.then(
    () => 'fulfilled' as const,
    () => 'rejected' as const,
  )
  return Promise.race([settled, wait(1).then(() => 'pending' as const)])
}

test('a sync that hangs for hours lets in only so much, and who waits can give up (I1, I2, I9)', () =>
  onMachine(async (machine) => {
    const limits: Partial<Limits> = { queueOperationsMax: 20, queueBytesMax: 50_000, groupOperationsMax: 10 }
    const { store } = await machine.open(limits)
    const session = await store.init('agent')
    await session.write('before', 'there')
    await store.flush()
    const hanging = held()
    machine.holdSyncs(hanging.promise)
    const before = machine.recording.length
    const controllers = Array.from({ length: 500 }, () => new AbortController())
    const order: number[] = []
    const writes = controllers.map(async ({ signal }, number) => {
      const { revision } = await session.write(`k${number}`, `${number}`.padEnd(1000, '.'), { signal })
      order.push(number)
      return revision
    })
    const answers = Promise.allSettled(writes)
    await wait(HOURS_MS)
    expect(order).toEqual([])
    expect(
      machine.recording.length - before,
      'one frame is on its way to the disk, no more',
    ).toBeLessThanOrEqual(2)
    expect(await session.list()).toEqual(['before'])
    expect(await session.read('before')).toBe('there')
    expect(await session.read('k0')).toBeNull()

    // The first ones are being written, and can't be taken back.
    for (const controller of controllers.slice(250)) controller.abort(new Error('gave up'))
    for (const write of writes.slice(250))
      expect(await failureOf(() => write)).toMatchObject({ message: 'gave up' })
    hanging.release()
    const results = await answers
    expect(results.slice(0, 250).every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(await session.list()).toHaveLength(251)
    await store.close()
    expect(machine.readTree().files.has('agent/k249')).toBe(true)
    expect(machine.readTree().files.has('agent/k250')).toBe(false)
  }))

test('workers that hang hold up no acknowledgement until the backlog is full, and then writers wait (I1, I9)', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open({ backlogKeysMax: 30 })
    const session = await store.init('agent')
    await store.flush()
    const hanging = held()
    machine.tasksHeldUntil = (kind) => (kind === 'materialize' ? hanging.promise : Promise.resolve())
    const acknowledged: number[] = []
    const writes = Array.from({ length: 100 }, async (_, number) => {
      await session.write(`k${number}`, 'value')
      acknowledged.push(number)
    })
    await wait(HOURS_MS)
    expect(acknowledged.length).toBeGreaterThan(0)
    // Whole groups are let in while there is room for one more.
    const few = acknowledged.length
    const controller = new AbortController()
    const late = failureOf(() => session.write('late', 'value', { signal: controller.signal }))
    const inTree = failureOf(() =>
      session.write('k0', 'again', { signal: controller.signal, durability: 'tree' }),
    )
    const flushed = failureOf(() => store.flush({ signal: controller.signal }))
    await wait(HOURS_MS)
    expect(acknowledged.length).toBe(few)
    expect(await session.read('k0')).toBe('value')
    controller.abort(new Error('gave up'))
    for (const failure of await Promise.all([late, inTree, flushed]))
      expect(failure).toMatchObject({ message: 'gave up' })
    hanging.release()
    await Promise.all(writes)
    await store.close()
    expect(machine.readTree().files.has('agent/k99')).toBe(true)
    expect(machine.readTree().files.has('agent/late')).toBe(false)
  }))

test('a read that hangs can be given up, and holds up no write of another key (I11)', () =>
  onMachine(async (machine) => {
    const first = await machine.open()
    await (await first.store.init('agent')).write('a', 'value')
    await first.store.close()
    const { store } = await machine.open()
    const session = await store.resume('agent')
    const hanging = held()
    machine.tasksHeldUntil = (kind) =>
      kind === 'read' || kind === 'heads' ? hanging.promise : Promise.resolve()
    const controller = new AbortController()
    const { signal } = controller
    const reads = [
      failureOf(() => session.read('a', { signal })),
      failureOf(() => session.entry('a', { signal })),
      failureOf(() => session.stat('a', { signal })),
      failureOf(() => session.update('a', (value) => `${value}!`, { signal })),
    ]
    const patient = session.read('a')
    await wait(HOURS_MS)
    const other = await store.init('other')
    await other.write('b', 'written')
    expect(await other.read('b')).toBe('written')
    controller.abort(new Error('gave up'))
    for (const failure of await Promise.all(reads)) expect(failure).toMatchObject({ message: 'gave up' })
    hanging.release()
    expect(await patient).toBe('value')
    await store.close()
  }))

test('a file that is found to be gone while a sync hangs comes after that commit, and no watch misses either (I2, I3)', () =>
  onMachine(async (machine) => {
    const first = await machine.open()
    const before = await first.store.init('agent')
    for (const key of ['a', 'gone']) await before.write(key, 'value')
    await first.store.close()
    const opened = await machine.open()
    const session = await opened.store.resume('agent')
    expect(await session.stat('gone')).toMatchObject({ external: false })
    machine.disk.unlink(`${ROOT}/agent/gone`)
    const hanging = held()
    machine.holdSyncs(hanging.promise)
    const writing = session.write('a', 'on its way')
    await wait(1)
    const reading = session.read('gone')
    await wait(HOURS_MS)
    expect(await session.read('a'), 'what was not changed by hand is read meanwhile').toBe('value')
    const [ready] = await take(iteratorOf(session.watch({ initial: true, prefix: 'none' })), 1)
    hanging.release()
    const { revision } = await writing
    expect(await reading).toBeNull()
    expect(opened.complaints).toEqual([expect.stringMatching(/^external.*gone/)])
    await session.write('last', '')
    const changes = iteratorOf(session.watch({ afterRevision: ready!.revision }))
    expect(await take(changes, 2)).toMatchObject([{ key: 'a', revision }, { key: 'last' }])
    await opened.store.close()
  }))

test('closing waits for a disk that hangs, can be given up, and lets nobody else in before it has ended (I1, I10, I11)', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await store.flush()
    const sync = held()
    const tasks = held()
    machine.holdSyncs(sync.promise)
    machine.tasksHeldUntil = () => tasks.promise
    const write = session.write('a', 'on its way')
    // What was asked for in this turn is admitted in the next one.
    await wait(1)
    const controller = new AbortController()
    const impatient = failureOf(() => store.close({ signal: controller.signal }))
    const patient = store.close()
    await wait(HOURS_MS)
    expect(await stateOf(write)).toBe('pending')
    controller.abort(new Error('gave up'))
    expect(await impatient).toMatchObject({ message: 'gave up' })
    await refusal('STORE_CLOSED', () => session.write('b', 'too late'))
    await refusal('STORE_OWNED', () => machine.open())
    sync.release()
    await write
    await wait(HOURS_MS)
    expect(await stateOf(patient), 'the files are still missing').toBe('pending')
    tasks.release()
    await patient
    const again = await machine.open()
    expect(again.recovered()).toBeNull()
    expect(await (await again.store.resume('agent')).read('a')).toBe('on its way')
    await again.store.close()
  }))

test('a sync that hangs for hours and then fails is told to everybody who waited for it (I8, I11)', () =>
  onMachine(async (machine) => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await store.flush()
    const hanging = held()
    machine.holdSyncs(
      hanging.promise.then(() => {
        throw systemError('EIO', 'the sync failed in the end')
      }),
    )
    const first = failureOf(() => session.write('a', 'unknown'))
    await wait(1)
    const queued = failureOf(() => session.write('b', 'never begun'))
    const update = failureOf(() => session.update('a', () => 'never begun'))
    await wait(HOURS_MS)
    hanging.release()
    expect(await first).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown' })
    expect(await queued).toMatchObject({ code: expect.stringMatching(/^(STORE_FAILED|OUTCOME_UNKNOWN)$/) })
    expect(await update).toMatchObject({ code: expect.stringMatching(/^(STORE_FAILED|OUTCOME_UNKNOWN)$/) })
    expect(store.state).toBe('failed')
    machine.holdSyncs(Promise.resolve())
    await store.close()
  }))
