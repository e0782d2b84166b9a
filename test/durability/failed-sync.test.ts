/** A sync of the journal or the checkpoint that fails, and one that takes very long. */
import { describe, expect, test } from 'vitest'
import type { EventMap } from '../../src/api.js'
import { failureOf, refusal } from '../../src/contract/observe.js'
import { DiskState, EXTREMES, type Survival } from './support/disk/disk-state.js'
import { faultyDisk, type Trouble } from './support/disk/faulty-disk.js'
import { Machine } from './support/disk/machine.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'

const { seed } = tortureSettings()

/** Calls of one kind fail while it is broken. */
class Broken implements Trouble {
  readonly #call: string
  readonly #code: string
  isBroken = false
  readonly callsAfter: string[] = []

  constructor(call: string, code: string) {
    this.#call = call
    this.#code = code
  }

  next(call: string): string | null {
    if (!this.isBroken) return null
    this.callsAfter.push(call)
    return call === this.#call ? this.#code : null
  }
}

function machineWith(trouble: Trouble, state = new DiskState()): Machine {
  return new Machine(state, new Random(seed), (disk) => faultyDisk(disk, trouble))
}

describe.each([
  ['datasyncAsync segment', 'EIO'],
  ['writeAsync segment', 'EIO'],
  ['writeAsync segment', 'ENOSPC'],
])('when %s fails with %s', (call, code) => {
  test('the store takes no more writes, says what is true of each, and goes on being read (I8)', async () => {
    const trouble = new Broken(call, code)
    const machine = machineWith(trouble)
    await machine.run(async () => {
      const { store } = await machine.open()
      const failed: EventMap['failed'][] = []
      store.events.on('failed', (event) => failed.push(event))
      const session = await store.init('agent')
      await session.write('kept', 'before')
      await store.flush()

      trouble.isBroken = true
      const unknown = session.write('kept', 'unknown')
      const sameFrame = session.batch([{ write: 'a', value: '1' }, { delete: 'kept' }])
      const error = await refusal('OUTCOME_UNKNOWN', () => unknown)
      expect(error).toMatchObject({ outcome: 'unknown', revision: expect.any(Number) })
      await refusal('OUTCOME_UNKNOWN', () => sameFrame)
      expect(store.state).toBe('failed')
      expect(failed).toHaveLength(1)
      expect(failed[0]?.error).toMatchObject({ code: 'STORE_FAILED' })

      trouble.isBroken = false
      const refused = await refusal('STORE_FAILED', () => session.write('later', 'refused'))
      expect(refused.outcome).toBe('unchanged')
      await refusal('STORE_FAILED', () => session.delete('kept'))
      await refusal('STORE_FAILED', () => store.init('other'))
      await refusal('STORE_FAILED', () => store.remove('agent'))
      expect(await session.read('kept')).toBe('before')
      expect(await session.read('a')).toBeNull()
      expect(await session.list()).toEqual(['kept'])
      await store.flush()
      await store.close()
    })
    expect(machine.disk.openCount).toBe(0)
    expect(trouble.callsAfter.filter((made) => /^(writeAsync|datasyncAsync) /.test(made)).at(-1)).toBe(call)
  })

  test.each<{ survival: Survival | null; isDropped: boolean }>(
    [null, ...EXTREMES].flatMap((survival) => [
      { survival, isDropped: false },
      { survival, isDropped: true },
    ]),
  )(
    'what was acknowledged is there after opening again, what was unknown whole or not at all ($survival, pages dropped: $isDropped)',
    async ({ survival, isDropped }) => {
      const trouble = new Broken(call, code)
      const machine = machineWith(trouble)
      await machine.run(async () => {
        const { store } = await machine.open()
        const session = await store.init('agent')
        await session.write('kept', 'acknowledged')
        trouble.isBroken = true
        const batch = [
          { write: 'kept', value: 'unknown' },
          { write: 'b/c', value: 'unknown' },
        ] as const
        await refusal('OUTCOME_UNKNOWN', () => session.batch(batch))
        await store.close({ flush: false })
      })
      const state = machine.disk.state.copy()
      // The system takes what it could not write for written, and finds it as the disk has it when it reads it again.
      if (isDropped) state.evict(new Random(seed))
      const next = machineWith(
        { next: () => null },
        survival === null ? state : state.cutPower(new Random(seed), survival),
      )
      await next.run(async () => {
        const { store } = await next.open()
        const session = await store.resume('agent')
        const found = [await session.read('kept'), await session.read('b/c')]
        expect([
          ['acknowledged', null],
          ['unknown', 'unknown'],
        ]).toContainEqual(found)
        const { revision } = await session.write('again', 'there')
        expect(revision).toBeGreaterThan((await session.stat('kept'))!.revision)
        await store.close()
      })
    },
  )
})

test('a power cut at any moment of the opening that follows a failed sync costs nothing either (I1, I8)', async () => {
  const trouble = new Broken('datasyncAsync segment', 'EIO')
  const machine = machineWith(trouble)
  await machine.run(async () => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await session.write('kept', 'acknowledged')
    trouble.isBroken = true
    await refusal('OUTCOME_UNKNOWN', () => session.write('kept', 'unknown'))
    await store.close({ flush: false })
  })
  const quiet: Trouble = { next: () => null }
  // Nothing was dropped from memory: the opening finds what could not be synced.
  const next = machineWith(quiet, machine.disk.state.copy())
  await next.run(async () => {
    const { store } = await next.open()
    await store.close()
  })
  for (let moment = 0; moment <= next.recording.length; moment++) {
    for (const survival of EXTREMES) {
      const random = new Random(seed)
      const last = machineWith(quiet, next.recording.stateAt(moment, random).cutPower(random, survival))
      await last.run(async () => {
        const { store } = await last.open()
        const found = await (await store.resume('agent')).read('kept')
        expect(['acknowledged', 'unknown'], next.recording.describe(moment)).toContain(found)
        await store.close()
      })
    }
  }
})

test('a checkpoint that fails stops the store before a revision is used that it does not cover (I8)', async () => {
  const trouble = new Broken('datasyncAsync checkpoint', 'EIO')
  const machine = machineWith(trouble)
  await machine.run(async () => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await session.write('a', 'acknowledged')
    trouble.isBroken = true
    const failed = new Promise((resolve) => store.events.on('failed', resolve))
    // When the tree has everything and the store is idle, it writes a checkpoint.
    await store.flush()
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 60_000))])
    expect(store.state).toBe('failed')
    expect(await session.read('a')).toBe('acknowledged')
    await refusal('STORE_FAILED', () => session.write('b', 'refused'))
    await store.close({ flush: false })
  })
  const next = machineWith({ next: () => null }, machine.disk.state.copy())
  await next.run(async () => {
    const { store } = await next.open()
    expect(await (await store.resume('agent')).read('a')).toBe('acknowledged')
    await store.close()
  })
})

test('who waits for the tree when the store fails is told so (I8, I11)', async () => {
  const journal = new Broken('datasyncAsync segment', 'EIO')
  const machine = machineWith({
    // Nothing gets into the tree, so that there is something to wait for.
    next: (call) => journal.next(call) ?? (call === 'rename content' ? 'EACCES' : null),
  })
  await machine.run(async () => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await session.write('a', 'acknowledged')
    const waiting = failureOf(() => session.write('b', 'there', { durability: 'tree' }))
    await session.write('c', 'acknowledged')
    journal.isBroken = true
    const flushed = failureOf(() => store.flush())
    await refusal('OUTCOME_UNKNOWN', () => session.write('d', 'unknown'))
    expect(await waiting).toMatchObject({ code: 'TREE_PENDING', outcome: 'committed' })
    expect(await flushed).toMatchObject({ code: expect.stringMatching(/^(TREE_STUCK|STORE_FAILED)$/) })
    expect(await failureOf(() => store.flush())).toMatchObject({
      code: expect.stringMatching(/^(TREE_STUCK|STORE_FAILED)$/),
    })
    await refusal('CLOSE_INCOMPLETE', () => store.close())
  })
})

test('a sync that takes seconds shows nothing early, and holds up neither reads nor abort (I2)', async () => {
  const machine = machineWith({ next: () => null })
  await machine.run(async () => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await session.write('a', 'old')
    await store.flush()
    const seen: unknown[] = []
    store.events.on('change', (event) => seen.push(event.key))
    let release = (): void => {}
    machine.holdSyncs(new Promise<void>((resolve) => (release = resolve)))
    const write = session.write('a', 'new')
    const removed = session.delete('b')
    await new Promise((resolve) => setTimeout(resolve, 5000))
    expect(await session.read('a')).toBe('old')
    expect(await session.list()).toEqual(['a'])
    const controller = new AbortController()
    const queued = failureOf(() => session.write('c', 'withdrawn', { signal: controller.signal }))
    controller.abort(new Error('gave up'))
    expect(await queued).toMatchObject({ message: 'gave up' })
    expect(seen).toEqual([])
    release()
    await write
    await removed
    expect(await session.read('a')).toBe('new')
    expect(await session.list()).toEqual(['a'])
    await store.close()
  })
})
