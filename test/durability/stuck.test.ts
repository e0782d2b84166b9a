/**
 * Keys whose files can't be written, from the first failure until the way is free: they stay durable, readable and reported,
 * hold up no other key, and neither let the journal grow nor keep anybody waiting for ever (I1, I7, I8, I9, I11).
 */
import { describe, expect, test } from 'vitest'
import { refusal } from '../../src/contract/observe.js'
import { systemError, type FileSystem } from '../../src/backend/file/file-system.js'
import { DiskState, EXTREMES } from './support/disk/disk-state.js'
import { Machine, namesIn, ROOT } from './support/disk/machine.js'
import type { SimulatedDisk } from './support/disk/simulated-disk.js'
import { Random } from './support/random.js'
import { tortureSettings } from './support/settings.js'

const { seed } = tortureSettings()

/** Files below the root that can be neither put in their place nor removed. */
class Barred {
  paths: (path: string) => boolean = () => false
  /** How often it was tried. */
  readonly tries = new Map<string, number>()

  on(disk: SimulatedDisk): FileSystem {
    const check = (path: string): void => {
      const inner = path.slice(ROOT.length + 1)
      if (!this.paths(inner)) return
      this.tries.set(inner, (this.tries.get(inner) ?? 0) + 1)
      throw systemError('EACCES', `barred: ${inner}`)
    }
    return Object.assign(Object.create(null) as FileSystem, disk, {
      rename(from: string, to: string) {
        check(to)
        disk.rename(from, to)
      },
      unlink(path: string) {
        check(path)
        disk.unlink(path)
      },
    })
  }
}

function given(state = new DiskState()): { machine: Machine; barred: Barred } {
  const barred = new Barred()
  return { barred, machine: new Machine(state, new Random(seed), (disk) => barred.on(disk)) }
}

function segments(machine: Machine): string[] {
  return namesIn(machine.disk.state, `${ROOT}/.agent_state/journal`)
}

function filesOf(machine: Machine, namespace: string): string[] {
  return [...machine.readTree().files.keys()]
    .filter((path) => path.startsWith(`${namespace}/`) && !path.includes('.agent_state_meta'))
    .map((path) => path.slice(namespace.length + 1))
    .sort()
}

const MIB_2 = new Uint8Array(2 * 1024 * 1024)
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a key whose file can not be written', () => {
  test('stays readable and is reported once; everything else proceeds; flush and close say so; then it comes (I7, I8)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store, complaints } = await machine.open()
      const session = await store.init('agent', { writer: { writerId: 'ann' } })
      const other = await store.init('other')
      await session.write('stuck', 'before')
      await store.flush()
      barred.paths = (path) => path === 'agent/stuck'
      const { revision } = await session.write('stuck', 'acknowledged')
      await session.batch([
        { write: 'beside', value: '1' },
        { write: 'in/dir', value: '2' },
      ])
      await other.write('k', 'v')
      const error = await refusal('TREE_STUCK', () => store.flush())
      expect(error).toMatchObject({ namespace: 'agent', key: 'stuck', outcome: 'unchanged' })
      expect(filesOf(machine, 'agent')).toEqual(['beside', 'in/dir', 'stuck'])
      expect(filesOf(machine, 'other')).toEqual(['k'])
      expect(machine.readTree().files.get('agent/stuck')?.toString()).toBe('before')
      expect(await session.read('stuck')).toBe('acknowledged')
      expect(await session.stat('stuck')).toMatchObject({ revision, writer: { writerId: 'ann' } })

      // Tried again from time to time, and said once.
      const before = barred.tries.get('agent/stuck')!
      await wait(120_000)
      expect(barred.tries.get('agent/stuck')).toBeGreaterThan(before)
      expect(complaints.filter((text) => text.includes('TREE_STUCK'))).toHaveLength(1)
      const pending = await refusal('TREE_PENDING', () =>
        session.write('stuck', 'later', { durability: 'tree' }),
      )
      expect(pending.outcome).toBe('committed')
      await refusal('CLOSE_INCOMPLETE', () => store.close())

      const again = await machine.open()
      expect(await (await again.store.resume('agent')).read('stuck')).toBe('later')
      barred.paths = () => false
      await again.store.flush()
      expect(machine.readTree().files.get('agent/stuck')?.toString()).toBe('later')
      await again.store.close()
      const last = await machine.open()
      expect(last.recovered()).toBeNull()
      await last.store.close()
    })
    expect(machine.disk.openCount).toBe(0)
  })

  test('lets the journal go on: what is stuck is carried, survives a power cut, and nothing piles up (I1, I9)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store } = await machine.open()
      const session = await store.init('agent')
      barred.paths = (path) => path.startsWith('agent/stuck')
      await session.write('stuck/1', 'acknowledged')
      await session.write('stuck/2', 'acknowledged too')
      await session.delete('stuck/2')
      let most = 0
      for (let number = 0; number < 90; number++) {
        await session.write('large', `${number}`.padEnd(900_000, '.'), { durability: 'tree' })
        most = Math.max(most, segments(machine).length)
      }
      expect(most).toBeGreaterThan(1)
      expect(most).toBeLessThanOrEqual(5)
      expect(await session.read('stuck/1')).toBe('acknowledged')
    })
    for (const survival of [null, ...EXTREMES]) {
      const state = machine.disk.state.copy()
      const next = given(survival === null ? state : state.cutPower(new Random(seed), survival))
      await next.machine.run(async () => {
        const { store } = await next.machine.open()
        const session = await store.resume('agent')
        expect(await session.read('stuck/1')).toBe('acknowledged')
        expect(await session.list()).toEqual(['large', 'stuck/1'])
        await store.close()
      })
    }
  })
})

describe('many of them in one namespace', () => {
  const MANY = 700
  const free = Array.from({ length: MANY }, (_, number) => `k${number}`)
    .filter((key) => !/^k[0-5]/.test(key))
    .sort()

  test('a flush is answered, and brings in those whose way is free, however many stand before them (I8, I11)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store } = await machine.open()
      const session = await store.init('agent')
      barred.paths = (path) => path.startsWith('agent/k')
      const writes = Array.from({ length: MANY }, (_, number) =>
        session.write(`k${number}`, `value ${number}`),
      )
      await Promise.all(writes)
      await refusal('TREE_STUCK', () => store.flush())
      expect(filesOf(machine, 'agent')).toEqual([])
      await refusal('TREE_STUCK', () => store.flush())
      barred.paths = (path) => /^agent\/k[0-5]/.test(path)
      await refusal('TREE_STUCK', () => store.flush())
      expect(filesOf(machine, 'agent')).toEqual(free)
      barred.paths = () => false
      await store.flush()
      expect(filesOf(machine, 'agent')).toHaveLength(MANY)
      await store.close()
    })
  })

  test('without a flush all of them are tried again in turn', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store } = await machine.open()
      const session = await store.init('agent')
      barred.paths = (path) => path.startsWith('agent/k')
      const writes = Array.from({ length: MANY }, (_, number) =>
        session.write(`k${number}`, `value ${number}`),
      )
      await Promise.all(writes)
      await refusal('TREE_STUCK', () => store.flush())
      expect(barred.tries.size).toBe(MANY)
      barred.paths = (path) => /^agent\/k[0-5]/.test(path)
      await wait(10 * 60_000)
      expect(filesOf(machine, 'agent')).toEqual(free)
      await store.close({ flush: false }).catch(() => {})
    })
  })

  test('at the bound writes of their namespace are refused unchanged; deletions, reads and other namespaces go on (I9)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store } = await machine.open({ stuckKeysMax: 10 })
      const session = await store.init('agent')
      const other = await store.init('other')
      await session.write('plain', 'there')
      await store.flush()
      barred.paths = (path) => path.startsWith('agent/k')
      for (let number = 0; number < 10; number++) await session.write(`k${number}`, 'stuck')
      await refusal('TREE_STUCK', () => store.flush())
      const refused = await refusal('TREE_STUCK', () => session.write('new', 'refused'))
      expect(refused).toMatchObject({ outcome: 'unchanged', retryable: true, namespace: 'agent' })
      await refusal('TREE_STUCK', () => session.batch([{ write: 'new', value: '' }, { delete: 'plain' }]))
      expect(await session.read('new')).toBeNull()
      expect(await session.read('plain')).toBe('there')
      await other.write('k', 'taken')

      const [late, deleted] = await Promise.allSettled([
        session.write('new', 'refused'),
        session.delete('plain'),
      ])
      expect(late).toMatchObject({ status: 'rejected', reason: { code: 'TREE_STUCK' } })
      expect(deleted).toMatchObject({ status: 'fulfilled', value: { deleted: true } })
      expect(await session.batch([{ delete: 'k0' }, { delete: 'k1' }])).toMatchObject([
        { deleted: true },
        { deleted: true },
      ])
      expect(await session.list()).toEqual(['k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9'])

      barred.paths = () => false
      await store.flush()
      await session.write('new', 'taken')
      await store.close()
      expect(filesOf(machine, 'agent')).toEqual(['k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9', 'new'])
    })
  })
})

describe('a namespace', () => {
  test('that can not be removed stays readable as gone, can be made again, and loses nothing that is written then (I1)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store, complaints } = await machine.open()
      const session = await store.init('agent')
      await session.write('old', 'value')
      await session.write('both', 'old')
      await store.flush()
      barred.paths = (path) => path === 'agent/old'
      expect(await store.remove('agent')).toBe(true)
      await refusal('TREE_STUCK', () => store.flush())
      await refusal('NAMESPACE_NOT_FOUND', () => store.resume('agent'))
      expect(complaints.some((text) => text.includes('TREE_STUCK'))).toBe(true)
      const again = await store.init('agent')
      expect(await again.list()).toEqual([])
      await again.write('both', 'new')
      await refusal('TREE_PENDING', () => again.write('new', 'value', { durability: 'tree' }))
      expect(await again.read('both')).toBe('new')
      await refusal('CLOSE_INCOMPLETE', () => store.close())
      const next = await machine.open()
      const resumed = await next.store.resume('agent')
      expect(await resumed.list()).toEqual(['both', 'new'])
      barred.paths = () => false
      await next.store.close()
      expect(filesOf(machine, 'agent')).toEqual(['both', 'new'])
    })
  })

  test('stays removed when it was made again in a later segment of the journal, however the store is closed then (I1)', async () => {
    for (const flush of [true, false]) {
      const { machine, barred } = given()
      await machine.run(async () => {
        const { store } = await machine.open()
        const session = await store.init('agent')
        await session.write('old', 'value')
        await store.flush()
        barred.paths = (path) => path === 'agent/old'
        expect(await store.remove('agent')).toBe(true)
        const filler = await store.init('filler')
        for (let number = 0; number < 3; number++) await filler.write('k', MIB_2)
        expect(segments(machine).length).toBeGreaterThan(1)
        await store.init('agent')
        await refusal('TREE_STUCK', () => store.flush())
        // Long enough for checkpoints, and for what is stuck to be written again.
        await wait(1000)
        if (flush) await refusal('CLOSE_INCOMPLETE', () => store.close())
        else await store.close({ flush: false })
        barred.paths = () => false
        const next = await machine.open()
        expect(await (await next.store.resume('agent')).list()).toEqual([])
        await next.store.close()
        expect(filesOf(machine, 'agent')).toEqual([])
      })
    }
  })

  test('with more bytes stuck than half of what the backlog may hold takes deletions only (I9)', async () => {
    const { machine, barred } = given()
    await machine.run(async () => {
      const { store } = await machine.open({ backlogBytesMax: 8 * 1024 * 1024 })
      const session = await store.init('agent')
      barred.paths = (path) => path.startsWith('agent/k')
      await session.write('k1', MIB_2)
      await session.write('k2', MIB_2)
      await refusal('TREE_STUCK', () => store.flush())
      await refusal('TREE_STUCK', () => session.write('new', 'refused'))
      expect(await session.delete('k1')).toMatchObject({ deleted: true })
      await session.write('new', 'taken')
      barred.paths = () => false
      await store.close()
      expect(filesOf(machine, 'agent')).toEqual(['k2', 'new'])
    })
  })
})
