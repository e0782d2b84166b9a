import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backlog, type Pending } from '../../../src/backend/file/backlog.js'
import { Carrier } from '../../../src/backend/file/carrier.js'
import { Segment } from '../../../src/backend/file/journal.js'
import { SEGMENT_BYTES, segmentPath } from '../../../src/backend/file/segment.js'
import type { JournalRecord } from '../../../src/backend/file/tasks.js'
import { Upkeep } from '../../../src/backend/file/upkeep.js'
import { deferred } from '../../../src/contract/observe.js'
import { DIRECTORY, framesOf, planOf, startCommitting, written, type Committing } from './committing.js'
import { START } from './journal-builder.js'

const clock = vi.hoisted(() => ({ nowMs: 0 }))
vi.mock('node:perf_hooks', () => ({ performance: { now: () => clock.nowMs } }))

beforeEach(() => {
  clock.nowMs = 1000
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => void vi.useRealTimers())

const FAILURE = { index: 0, code: 'EACCES', message: 'no permission' }

interface Given extends Committing {
  readonly upkeep: Upkeep
  readonly carrier: Carrier
  commit(...plans: ReturnType<typeof planOf>[]): Promise<void>
  /** Everything of the namespace gets into the tree. */
  done(namespace: string): void
  /** Nothing of the namespace can get into the tree. */
  stuck(namespace: string): void
}

async function given(): Promise<Given> {
  const committing = await startCommitting(1000, 2)
  const { fs, journal, backlog, checkpointer, commits } = committing
  const carrier = new Carrier({ fs, backlog, commits })
  const upkeep = new Upkeep({
    journal,
    backlog,
    checkpointer,
    commits,
    carrier,
    onFailure: (cause) => commits.fail(cause),
  })
  return Object.assign(committing, {
    upkeep,
    carrier,
    commit: async (...plans: ReturnType<typeof planOf>[]) => {
      for (const outcome of await commits.commit(plans)) expect(outcome.status).toBe('committed')
      upkeep.appended()
    },
    done: (namespace: string) => {
      const found = backlog.get(namespace)!
      for (const pending of [...found.entries.values()]) backlog.done(found, pending)
      if (found.change !== null) backlog.doneNamespace(found, found.change)
      upkeep.progressed()
    },
    stuck: (namespace: string) => {
      const found = backlog.get(namespace)!
      for (const pending of [...found.entries.values()]) backlog.failed(found, pending, FAILURE)
      if (found.change !== null) backlog.failed(found, found.change, FAILURE)
      upkeep.progressed()
    },
  })
}

async function pass(ms: number): Promise<void> {
  clock.nowMs += ms
  await vi.advanceTimersByTimeAsync(ms)
}

/** Lets work end that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** The records of a segment's frames, a list each, the stale ones behind the last excluded. */
function framesIn({ fs }: Committing, segment: number): JournalRecord[][] {
  return framesOf(fs.files.get(segmentPath(DIRECTORY, segment))!, segment).map(({ records }) => records)
}

const filling = (left: number): Uint8Array => new Uint8Array(SEGMENT_BYTES - left - 4096)

describe('when nothing happens', () => {
  test('a checkpoint says how far the journal went, once, while something is missing in the tree', async () => {
    const made = await given()
    await made.commit(planOf('n', written('k')))
    const before = made.checkpoint.written.length
    await pass(49)
    expect(made.checkpoint.written.length).toBe(before)
    await pass(1)
    await settle()
    expect(made.checkpoint.state).toMatchObject({ position: START, reached: 2 })
    made.upkeep.appended()
    await pass(1000)
    await settle()
    expect(made.checkpoint.written.length).toBe(before + 1)
  })

  test('appends put it off', async () => {
    const made = await given()
    for (let index = 0; index < 5; index++) {
      await made.commit(planOf('n', written(`k${index}`)))
      await pass(40)
    }
    await settle()
    expect(made.checkpoint.state.reached).toBe(1)
  })

  test('once the tree has everything a checkpoint says that none of it is needed', async () => {
    const made = await given()
    await made.commit(planOf('n', written('k')))
    made.done('n')
    const before = made.checkpoint.written.length
    await pass(50)
    await settle()
    expect(made.checkpoint.written.length).toBe(before + 1)
    expect(made.checkpoint.state.position).toEqual(made.journal.end)
    expect(framesIn(made, 1).length).toBe(1)
    made.upkeep.appended()
    await pass(50)
    await settle()
    expect(made.checkpoint.written.length).toBe(before + 1)
  })

  test('its timer keeps no process alive', async () => {
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const made = await given()
    await made.commit(planOf('n', written('k')))
    const timer = timers.mock.results.at(-1)!.value as NodeJS.Timeout
    expect(timer.hasRef()).toBe(false)
    timers.mockRestore()
  })

  test('nothing is done after it was stopped', async () => {
    const made = await given()
    await made.commit(planOf('n', written('k')))
    await made.upkeep.stop()
    const before = made.checkpoint.written.length
    made.done('n')
    made.upkeep.appended()
    await pass(1000)
    await settle()
    expect([framesIn(made, 1).length, made.checkpoint.written.length]).toEqual([1, before])
  })
})

describe('giving segments back', () => {
  test('when operations have left, behind a checkpoint', async () => {
    const made = await given()
    await made.commit(planOf('n', written('k', filling(0))))
    await made.commit(planOf('m', written('k')))
    expect(made.journal.end.segment).toBe(2)
    made.done('n')
    await settle()
    expect(made.checkpoint.state.position).toMatchObject({ segment: 2, offset: 0 })
    expect(made.journal.hasSpare).toBe(true)
  })

  test('I9: however often the same keys are written, a few segments do, also before the tree has any of it', async () => {
    const made = await given()
    for (let index = 0; index < 20; index++) {
      await made.commit(planOf('n', written('k', filling(0))))
      await settle()
    }
    expect(made.backlog.count).toBe(1)
    expect([...made.fs.files.keys()].filter((path) => path.startsWith(DIRECTORY)).length).toBeLessThan(5)
    expect(made.checkpoint.state.position.segment).toBe(made.backlog.find('n', 'k')!.segment.id)
  })

  test('I1: not the one with a removal that the tree does not show, when the namespace was made again behind it', async () => {
    const made = await given()
    await made.commit(planOf('n', 'remove'))
    await made.commit(planOf('m', written('k', filling(4096))))
    await made.commit(planOf('n', 'create'), planOf('m', written('k')))
    expect(made.journal.end.segment).toBe(2)
    made.done('m')
    await settle()
    expect(made.checkpoint.state.position.segment).toBe(1)
    made.done('n')
    await settle()
    expect(made.checkpoint.state.position.segment).toBe(2)
  })

  test('I8: a checkpoint that fails is the failure of the store, and nothing is given back', async () => {
    const made = await given()
    await made.commit(planOf('n', written('k', filling(0))))
    await made.commit(planOf('m', written('k')))
    const hadSpare = made.journal.hasSpare
    made.checkpoint.before = () => Promise.reject(new Error('EIO'))
    made.done('n')
    await settle()
    expect(made.failures).toMatchObject([{ message: 'EIO' }])
    expect(made.journal.hasSpare).toBe(hadSpare)
  })

  test('I8: what waits behind something else when it is stopped is not done any more', async () => {
    const made = await given()
    for (const name of ['a', 'b', 'c']) await made.commit(planOf(name, written('k', filling(0))))
    const writing = deferred()
    made.checkpoint.before = () => writing.promise
    const before = made.checkpoint.written.length
    made.done('a')
    await settle()
    made.done('b')
    const stopping = made.upkeep.stop()
    writing.resolve()
    await stopping
    expect(made.checkpoint.written.length).toBe(before + 1)
    expect(made.checkpoint.state.position.segment).toBe(2)
  })
})

describe('stuck operations that hold old segments back', () => {
  const REMOVED_AT_MS = 1_600_000_000_000

  async function withStuck(): Promise<Given> {
    const made = await given()
    await made.commit(
      { ...planOf('again', 'remove'), atMs: REMOVED_AT_MS },
      planOf('again', 'create', written('a', 'value')),
      planOf('gone', 'remove'),
      planOf('made', 'create', { kind: 'delete', key: 'd' }),
    )
    await made.commit(planOf('filling', written('k', filling(4096))))
    await made.commit(planOf('other', written('k')))
    for (const namespace of ['again', 'gone', 'made']) made.stuck(namespace)
    made.done('filling')
    return made
  }

  test('are written again to the end, under their revision and complete, and the old segment goes', async () => {
    const made = await withStuck()
    const before = [...made.backlog]
      .flatMap(({ entries }) => [...entries.values()])
      .map(({ revision }) => revision)
    made.done('other')
    await settle()
    const carried = framesIn(made, 2).at(-1)!
    expect(carried.map(({ namespace, revision, body }) => [namespace, revision, body.kind])).toEqual([
      ['again', 3, 'remove'],
      ['again', 3, 'create'],
      ['again', 4, 'write'],
      ['gone', 5, 'remove'],
      ['made', 6, 'create'],
      ['made', 7, 'delete'],
    ])
    // What was put there between the two is not the store's.
    expect(carried.slice(0, 2).map(({ atMs }) => atMs)).toEqual([REMOVED_AT_MS, carried[2]!.atMs])
    expect(made.checkpoint.state.position.segment).toBe(2)
    const pending = made.backlog.find('again', 'a') as Extract<Pending, { kind: 'write' }>
    expect(pending.segment.id).toBe(2)
    const file = made.fs.files.get(pending.segment.path)!
    expect(file.toString('utf8', pending.position, pending.position + pending.size)).toBe('value')
    expect(before).toEqual([4, 7, 9])
  })

  test('I6: recovery finds the same in what was carried as in what was there', async () => {
    const made = await withStuck()
    made.done('other')
    await settle()
    const recovered = new Backlog(() => 0)
    const anywhere = new Segment(0, '', 0, START, 0)
    for (const record of framesIn(made, 2).flat()) recovered.addRecovered(record, () => anywhere)
    const shape = (backlog: Backlog): unknown =>
      [...backlog]
        .filter(({ name }) => name !== 'other')
        .map(({ name, change, entries }) => ({
          name,
          change: change && [change.change, change.revision],
          entries: [...entries.values()].map(({ kind, key, revision }) => [kind, key, revision]),
        }))
    expect(shape(recovered)).toEqual(shape(made.backlog))
  })

  test('I9: are not written again and again, where that would give little back', async () => {
    const made = await given()
    for (const key of ['a', 'b', 'c']) await made.commit(planOf('n', written(key, filling(0))))
    made.stuck('n')
    await settle()
    const before = made.journal.end.sequence
    for (let index = 0; index < 5; index++) {
      made.upkeep.progressed()
      await settle()
    }
    expect(made.journal.end.sequence).toBe(before)
  })

  test('wait while something else is not stuck', async () => {
    const made = await withStuck()
    await settle()
    expect(framesIn(made, 2).length).toBe(1)
  })

  test('one that was superseded before its turn is left out: it must not come behind the later one', async () => {
    const made = await withStuck()
    const syncing = deferred()
    made.fs.delay = (call) => (call === 'datasync' ? syncing.promise : Promise.resolve())
    const later = made.commits.commit([planOf('again', written('a', 'later'))])
    made.done('other')
    await settle()
    syncing.resolve()
    await later
    await settle()
    const records = framesIn(made, 2).flat()
    const ofKey = records.filter(({ namespace, body }) => namespace === 'again' && body.kind === 'write')
    expect(ofKey.map(({ revision }) => revision)).toEqual([10])
  })

  test('one whose value is damaged stays where it is: a new checksum would hide that', async () => {
    const made = await withStuck()
    const pending = made.backlog.find('again', 'a') as Extract<Pending, { kind: 'write' }>
    made.fs.files.get(pending.segment.path)!.fill(0, pending.position, pending.position + 1)
    made.done('other')
    await settle()
    expect(pending.segment.id).toBe(1)
    expect(
      framesIn(made, 2)
        .at(-1)!
        .map(({ body }) => body.kind),
    ).not.toContain('write')
    expect(made.checkpoint.state.position.segment).toBe(1)
    expect(made.failures).toEqual([])
  })

  test('I9: many of them go in frames of bounded size', async () => {
    const made = await given()
    const value = new Uint8Array(1024 * 1024)
    for (let index = 0; index < 10; index++) await made.commit(planOf('n', written(`k${index}`, value)))
    expect(await made.carrier.carry()).toBeNull()
    const carried = [...framesIn(made, 1).slice(10), ...framesIn(made, 2)]
    expect(carried.map((records) => records.length)).toEqual([4, 4, 2])
  })

  test('on a full disk they stay where they are', async () => {
    const made = await given()
    made.disk = 'ENOSPC'
    await made.commit(planOf('n', written('k', filling(0))))
    await made.commit(planOf('m', written('k', filling(128 * 1024))))
    expect(await made.carrier.carry()).toEqual({ unreadable: null })
    expect(made.backlog.find('n', 'k')!.segment.id).toBe(1)
    expect(made.failures).toEqual([])
  })
})
