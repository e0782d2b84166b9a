/** A full disk: what is there can be read and deleted, what is new has to wait, and when there is room everything goes on. */
import { expect, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import type { Limits } from '../../src/limits.js'
import { DiskState } from './support/disk/disk-state.js'
import { faultyDisk, FullDisk } from './support/disk/faulty-disk.js'
import { Machine } from './support/disk/machine.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'

const { seed } = tortureSettings()

interface Given {
  readonly machine: Machine
  readonly disk: FullDisk
}

function given(): Given {
  const disk = new FullDisk()
  const machine = new Machine(new DiskState(), new Random(seed), (simulated) => faultyDisk(simulated, disk))
  return { machine, disk }
}

/** So large that a few fill what the journal has prepared. */
const large = (number: number): string => `${number}`.padEnd(900_000, '.')
const LIMITS: Partial<Limits> = { spaceWaitMs: 2000 }

test('writes are refused as unchanged, reads and deletions go on, and with room again writes do (I7, I8, I9)', async () => {
  const { machine, disk } = given()
  await machine.run(async () => {
    const { store, complaints } = await machine.open(LIMITS)
    const session = await store.init('agent')
    await session.write('before', 'there')
    await session.write('deleted', 'there')
    await store.flush()

    disk.isFull = true
    const written: number[] = []
    let refused = null
    for (let number = 0; refused === null; number++) {
      try {
        await session.write(`large/${number}`, large(number))
        written.push(number)
      } catch (error) {
        refused = error
      }
    }
    expect(refused).toMatchObject({ code: 'NO_SPACE', outcome: 'unchanged', retryable: true })
    expect(written.length, 'until the journal had no more room').toBeGreaterThan(0)
    expect(store.state).toBe('open')
    expect(await session.read('before')).toBe('there')
    for (const number of written) expect(await session.read(`large/${number}`)).toBe(large(number))
    expect(await session.delete('deleted')).toMatchObject({ deleted: true })
    expect(await session.batch([{ delete: 'before' }, { delete: 'large/0' }])).toMatchObject([
      { deleted: true },
      { deleted: true },
    ])
    await refusal('NO_SPACE', () =>
      session.batch([{ delete: 'large/1' }, { write: 'new', value: large(99) }]),
    )
    expect(await session.read('large/1'), 'a batch is refused whole').toBe(large(1))
    const isFull = expect.stringMatching(/^the disk is full: the journal has found no room for \d+ s;/)
    expect((await store.health()).problems).toContainEqual(isFull)

    disk.isFull = false
    // That there was no room is believed for a moment.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await session.write('after', large(100))
    expect((await store.health()).problems).not.toContainEqual(isFull)
    await store.flush()
    expect(complaints.every((text) => text.includes('TREE_STUCK'))).toBe(true)
    await store.close()
  })
  expect([...machine.readTree().files.keys()].filter((path) => !path.includes('.agent_state_meta'))).toEqual(
    expect.arrayContaining(['agent/after', 'agent/large/1']),
  )
  expect(machine.readTree().files.has('agent/before')).toBe(false)
})

test('a writer waits a bounded time for room, and gets it if it comes within that (I9)', async () => {
  const { machine, disk } = given()
  await machine.run(async () => {
    const { store } = await machine.open({ spaceWaitMs: 60_000 })
    const session = await store.init('agent')
    disk.isFull = true
    const writes = Array.from({ length: 12 }, (_, number) => session.write(`${number}`, large(number)))
    await writes[0]
    const first = await Promise.race([
      Promise.allSettled(writes).then(() => 'all were answered'),
      new Promise((resolve) => setTimeout(() => resolve('some wait'), 30_000)),
    ])
    expect(first).toBe('some wait')
    disk.isFull = false
    for (const result of await Promise.allSettled(writes)) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'NO_SPACE' })
    }
    await session.write('after', 'there')
    await store.close()
  })
})

test('a root on a full disk can be opened after a clean end, to be read and to be cleared', async () => {
  const { machine, disk } = given()
  await machine.run(async () => {
    const first = await machine.open()
    const session = await first.store.init('agent')
    await session.write('a', 'there')
    await first.store.close()
    disk.isFull = true
    const { store } = await machine.open(LIMITS)
    const again = await store.resume('agent')
    expect(await again.read('a')).toBe('there')
    expect(await again.delete('a')).toMatchObject({ deleted: true })
    await store.close()
  })
})

test('after a crash a full disk loses nothing: opening is refused, or shows everything (I1, I8)', async () => {
  const { machine, disk } = given()
  await machine.run(async () => {
    const { store } = await machine.open()
    const session = await store.init('agent')
    await Promise.all(Array.from({ length: 5 }, (_, number) => session.write(`${number}`, large(number))))
  })
  disk.isFull = true
  const next = new Machine(machine.disk.state.copy(), new Random(seed), (simulated) =>
    faultyDisk(simulated, disk),
  )
  await next.run(async () => {
    await refusal('NO_SPACE', () => next.open(LIMITS))
    expect(next.disk.openCount).toBe(0)
    disk.isFull = false
    const { store } = await next.open(LIMITS)
    const session = await store.resume('agent')
    expect(await session.list()).toEqual(['0', '1', '2', '3', '4'])
    await store.close()
  })
})
