import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backlog } from '../../../src/backend/file/backlog.js'
import { Segment } from '../../../src/backend/file/journal.js'
import { Materializer, type MaterializerOptions } from '../../../src/backend/file/materializer.js'
import type { MaterializeTask } from '../../../src/backend/file/tasks.js'
import { failureOf, refusal } from '../../../src/contract/observe.js'
import { START } from './journal-builder.js'
import { DONE, ScriptedRunner } from './scripted-runner.js'

const clock = vi.hoisted(() => ({ nowMs: 0 }))
vi.mock('node:perf_hooks', () => ({ performance: { now: () => clock.nowMs } }))

beforeEach(() => {
  clock.nowMs = 1000
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => void vi.useRealTimers())

/** Lets time pass, in steps in which timers can start what waits for them. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed++) {
    clock.nowMs++
    await vi.advanceTimersByTimeAsync(1)
  }
}

/** Lets answers arrive. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

interface Given {
  readonly backlog: Backlog
  readonly runner: ScriptedRunner
  readonly materializer: Materializer
  readonly warnings: string[]
  readonly preserved: string[]
  readonly segment: Segment
  /** How the journal is. */
  readonly load: { quietMs: number; isCrowded: boolean }
  progress: number
  write(namespace: string, key: string, revision: number, size?: number): void
  remove(namespace: string, key: string, revision: number): void
}

function given(options: Partial<MaterializerOptions> = {}): Given {
  const backlog = new Backlog(() => clock.nowMs)
  const runner = new ScriptedRunner()
  const segment = new Segment(1, '/journal/1', 4096, START, 0)
  const load = { quietMs: 1000, isCrowded: false }
  const warnings: string[] = []
  const preserved: string[] = []
  const materializer = new Materializer({
    backlog,
    runner,
    context: { root: '/root', storeId: 'id', modes: { file: 0o600, directory: 0o700 } },
    workers: 2,
    quietMs: () => load.quietMs,
    isCrowded: () => load.isCrowded,
    onProgress: () => void made.progress++,
    warning: (code) => void warnings.push(code),
    removed: () => {},
    preserved: (_namespace, key, preservedAs) => void preserved.push(`${key} as ${preservedAs}`),
    ...options,
  })
  const common = { writer: null, writerAtS: null, anonymous: true, crc: 0, segment }
  const made: Given = {
    backlog,
    runner,
    materializer,
    warnings,
    preserved,
    segment,
    load,
    progress: 0,
    write: (namespace, key, revision, size = 1) =>
      backlog.addWrite(namespace, { key, revision, atMs: revision, position: 0, size, ...common }),
    remove: (namespace, key, revision) =>
      backlog.addDelete(namespace, { key, revision, atMs: revision, segment }),
  }
  return made
}

test('an attempt that a later write has replaced says nothing of that one', async () => {
  const { runner, materializer, write, warnings } = given()
  write('n', 'k', 5)
  materializer.poke()
  const first = runner.nextMaterialize()
  write('n', 'k', 6)
  const waiting = materializer.materialized('n', ['k'], 6)
  first.answer(failed(0))
  await vi.waitFor(() => runner.nextMaterialize().answer(failed()))
  await waiting
  expect(warnings).toEqual([])
})

test('I9: under load it looks at the backlog now and then, however many namespaces there are and groups come', () => {
  let looks = 0
  const { materializer, write } = given({
    quietMs: () => 0,
    isCrowded: () => {
      looks++
      return false
    },
  })
  for (let index = 0; index < 1000; index++) write(`n${index}`, 'k', index + 1)
  for (let group = 0; group < 10; group++) materializer.poke()
  expect(looks).toBeLessThanOrEqual(20)
})

const keysOf = ({ operations }: MaterializeTask): string[] => operations.map(({ key }) => key)
const failed = (...indexes: number[]) => ({
  failures: indexes.map((index) => ({ index, code: 'EACCES', message: 'no permission' })),
  preserved: [],
})

describe('when a task starts', () => {
  test('at once, when the journal is quiet', () => {
    const { runner, materializer, write } = given()
    write('n', 'a', 1)
    materializer.poke()
    expect(keysOf(runner.nextMaterialize().task)).toEqual(['a'])
  })

  test('under load it stays behind, but no longer than the bound', async () => {
    const { runner, materializer, write, load } = given()
    load.quietMs = 0
    write('n', 'a', 1)
    materializer.poke()
    await pass(4999)
    write('n', 'b', 2)
    materializer.poke()
    expect(runner.held).toEqual([])
    await pass(1)
    expect(keysOf(runner.nextMaterialize().task)).toEqual(['a', 'b'])
  })

  test('under load, a crowded backlog is worked off at once', () => {
    const { runner, materializer, write, load } = given()
    load.quietMs = 0
    load.isCrowded = true
    write('n', 'a', 1)
    materializer.poke()
    expect(runner.held.length).toBe(1)
  })

  test('under load, what somebody waits for is not held back', async () => {
    const { runner, materializer, write, load } = given()
    load.quietMs = 0
    write('m', 'x', 1)
    write('n', 'a', 2)
    materializer.poke()
    const waiting = materializer.materialized('n', ['a'], 2)
    const held = runner.nextMaterialize()
    expect(held.task.namespace).toBe('n')
    expect(runner.held).toEqual([])
    held.answer(DONE)
    await waiting
  })

  test('no more tasks run than there are workers, and one a namespace', async () => {
    const { runner, materializer, write } = given()
    for (const name of ['a', 'b', 'c']) write(name, 'k', 1)
    materializer.kick()
    write('a', 'l', 2)
    materializer.kick()
    expect(runner.held.map(({ task }) => (task as MaterializeTask).namespace)).toEqual(['a', 'b'])
    runner.nextMaterialize().answer(DONE)
    await settle()
    // The other namespaces come before the one that had its turn.
    expect(runner.held.map(({ task }) => (task as MaterializeTask).namespace)).toEqual(['b', 'c'])
    runner.nextMaterialize().answer(DONE)
    await settle()
    expect(runner.held.map(({ task }) => (task as MaterializeTask).namespace)).toEqual(['c', 'a'])
  })
})

describe('what a task takes', () => {
  test('I9: a bounded number of keys and bytes, in the order in which the keys came', async () => {
    const { runner, materializer, write, backlog } = given()
    for (let index = 0; index < 300; index++) write('n', `k${index}`, index + 1)
    materializer.kick()
    const first = runner.nextMaterialize()
    expect(first.task.operations.length).toBe(256)
    first.answer(DONE)
    await settle()
    expect(keysOf(runner.nextMaterialize().task)[0]).toBe('k256')
    for (let index = 0; index < 4; index++) write('large', `k${index}`, index + 1, 4 * 1024 * 1024)
    materializer.kick()
    expect(runner.nextMaterialize().task.operations.length).toBe(2)
    expect(backlog.count).toBe(48)
  })

  test('the deletions that make room for a write come with it, and before it', () => {
    const { runner, materializer, write, remove } = given()
    write('n', 'a/b', 3)
    write('n', 'c', 4)
    for (let index = 0; index < 300; index++) write('n', `k${index}`, index + 5)
    remove('n', 'a', 1)
    remove('n', 'c/d', 2)
    materializer.kick()
    expect(keysOf(runner.nextMaterialize().task).slice(0, 4)).toEqual(['a', 'a/b', 'c/d', 'c'])
  })

  test('a removal takes everything that was written since, however much it is', () => {
    const { runner, materializer, write, backlog, segment } = given()
    backlog.addRemove('n', 1, 1, segment)
    backlog.addCreate('n', 2, 2, segment)
    for (let index = 0; index < 300; index++) write('n', `k${index}`, index + 3)
    materializer.kick()
    const { task } = runner.nextMaterialize()
    expect([task.namespaceChange, task.operations.length]).toEqual(['recreate', 300])
  })

  test('a segment stays in its place while a task reads from it', async () => {
    const { runner, materializer, write, remove, segment } = given()
    write('n', 'a', 1)
    materializer.kick()
    remove('n', 'a', 2)
    expect(segment.holders).toBe(2)
    runner.nextMaterialize().answer(DONE)
    await settle()
    runner.nextMaterialize().answer(DONE)
    await settle()
    expect(segment.holders).toBe(0)
  })
})

describe('waiting for the tree', () => {
  test('I11: a key that the change did nothing to has come when an earlier change of it has', async () => {
    const { runner, materializer, write, remove } = given()
    remove('n', 'gone', 1)
    write('n', 'a', 2)
    // A batch that wrote `a` and deleted `gone` once more.
    const waiting = materializer.materialized('n', ['a', 'gone'], 2)
    runner.nextMaterialize().answer(DONE)
    await waiting
  })

  test('resolves at once for what is there', async () => {
    const { materializer } = given()
    await materializer.materialized('n', ['a'], 1)
    await materializer.flush()
  })

  test('a later change of the key will do', async () => {
    const { materializer, runner, write } = given()
    write('n', 'a', 1)
    const waiting = materializer.materialized('n', ['a'], 1)
    write('n', 'a', 2)
    const first = runner.nextMaterialize()
    first.answer(DONE)
    await waiting
  })

  test('a change that was removed with its namespace is there when the removal is', async () => {
    const { materializer, runner, write, backlog, segment } = given()
    write('n', 'a', 1)
    backlog.addRemove('n', 2, 2, segment)
    let isThere = false
    const waiting = materializer.materialized('n', ['a'], 1).then(() => (isThere = true))
    const { task, answer } = runner.nextMaterialize()
    expect(task).toMatchObject({ namespaceChange: 'remove', operations: [] })
    await settle()
    expect(isThere).toBe(false)
    answer(DONE)
    await waiting
  })

  test('flush waits for what is in the backlog now, not for what comes, and tells how far it is', async () => {
    const { materializer, runner, write, load } = given()
    load.quietMs = 0
    write('n', 'a', 1)
    write('m', 'b', 2)
    const steps: [number, number][] = []
    const flushing = materializer.flush((done, total) => steps.push([done, total]))
    write('n', 'later', 3)
    runner.nextMaterialize().answer(DONE)
    runner.nextMaterialize().answer(DONE)
    await flushing
    expect(steps).toEqual([
      [1, 2],
      [2, 2],
    ])
  })

  test('hand edits that recovery kept are reported', async () => {
    const { materializer, runner, write, preserved } = given()
    write('n', 'a', 1)
    materializer.kick()
    runner.nextMaterialize().answer({ failures: [], preserved: [{ key: 'a', preservedAs: 'there' }] })
    await settle()
    expect(preserved).toEqual(['a as there'])
  })
})

describe('stuck operations', () => {
  test('the rest of a task proceeds; whoever waits for the stuck key is told, and it is warned of once', async () => {
    const { materializer, runner, write, warnings, backlog } = given()
    write('n', 'a', 1)
    write('n', 'b', 2)
    const a = failureOf(() => materializer.materialized('n', ['a'], 1))
    const b = materializer.materialized('n', ['b'], 2)
    runner.nextMaterialize().answer(failed(0))
    expect(await a).toMatchObject({
      code: 'TREE_PENDING',
      outcome: 'committed',
      revision: 1,
      cause: { code: 'TREE_STUCK', key: 'a', namespace: 'n' },
    })
    await b
    expect([backlog.count, backlog.stuckCount, warnings]).toEqual([1, 1, ['TREE_STUCK']])
    await pass(250)
    runner.nextMaterialize().answer(failed(0))
    await settle()
    expect(warnings).toEqual(['TREE_STUCK'])
  })

  test('they are tried again after a while, less and less often, and nothing else waits for them', async () => {
    const { materializer, runner, write, backlog } = given()
    write('n', 'stuck', 1)
    materializer.kick()
    const delays: number[] = []
    for (let attempt = 0; attempt < 9; attempt++) {
      const at = clock.nowMs
      runner.nextMaterialize().answer(failed(0))
      await settle()
      while (runner.held.length === 0) await pass(1)
      delays.push(clock.nowMs - at)
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    runner.nextMaterialize().answer(DONE)
    await settle()
    expect(backlog.count).toBe(0)
  })

  test('a new write of the namespace goes without the stuck ones, before they are due', async () => {
    const { materializer, runner, write } = given()
    write('n', 'stuck', 1)
    materializer.kick()
    runner.nextMaterialize().answer(failed(0))
    await settle()
    write('n', 'new', 2)
    materializer.poke()
    await pass(1)
    expect(keysOf(runner.nextMaterialize().task)).toEqual(['new'])
  })

  test('a flush tries them at once, and says which is stuck', async () => {
    const { materializer, runner, write } = given()
    write('n', 'stuck', 1)
    materializer.kick()
    runner.nextMaterialize().answer(failed(0))
    await settle()
    const flushing = refusal('TREE_STUCK', () => materializer.flush())
    runner.nextMaterialize().answer(failed(0))
    expect(await flushing).toMatchObject({ namespace: 'n', key: 'stuck', retryable: true })
    const again = materializer.flush()
    runner.nextMaterialize().answer(DONE)
    await again
  })

  test('a task whose worker failed is stuck as a whole, and loses nothing', async () => {
    const { materializer, runner, write, backlog, segment } = given()
    backlog.addCreate('n', 1, 1, segment)
    write('n', 'a', 2)
    materializer.kick()
    runner.nextMaterialize().fail(new Error('the worker died'))
    await settle()
    expect([backlog.count, backlog.stuckCount]).toEqual([2, 2])
    expect(backlog.find('n', 'a')!.failure!.message).toMatch('the worker died')
    const flushing = materializer.flush()
    runner.nextMaterialize().answer(DONE)
    await flushing
    expect([backlog.count, segment.holders]).toEqual([0, 0])
  })

  test('I1: as long as a removal is stuck, what was written since stays: the next attempt would delete it', async () => {
    const { materializer, runner, write, backlog, segment } = given()
    backlog.addRemove('n', 1, 1, segment)
    backlog.addCreate('n', 2, 2, segment)
    write('n', 'a', 3)
    materializer.kick()
    runner.nextMaterialize().answer(failed(-1))
    await settle()
    expect([backlog.count, backlog.stuckCount]).toEqual([2, 2])
    write('n', 'b', 4)
    materializer.poke()
    await pass(250)
    const again = runner.nextMaterialize()
    expect([again.task.namespaceChange, keysOf(again.task)]).toEqual(['recreate', ['a', 'b']])
    again.answer(DONE)
    await settle()
    expect([backlog.count, backlog.stuckCount]).toEqual([0, 0])
  })

  test('I11: whoever waits for a key of a namespace whose removal is stuck is told', async () => {
    const { materializer, runner, write, backlog, segment } = given({ workers: 1 })
    write('other', 'k', 1)
    materializer.kick()
    write('n', 'before', 2)
    const before = failureOf(() => materializer.materialized('n', ['before'], 2))
    backlog.addRemove('n', 3, 3, segment)
    const removed = failureOf(() => materializer.materialized('n', ['before'], 2))
    backlog.addCreate('n', 4, 4, segment)
    write('n', 'after', 5)
    const after = failureOf(() => materializer.materialized('n', ['after'], 5))
    runner.nextMaterialize().answer(DONE)
    await settle()
    runner.nextMaterialize().answer(failed(-1))
    expect(await before).toMatchObject({ code: 'TREE_PENDING', revision: 2 })
    expect(await removed).toMatchObject({ code: 'TREE_PENDING', revision: 2 })
    expect(await after).toMatchObject({ code: 'TREE_PENDING', revision: 5 })
  })
})

describe('stopping', () => {
  test('no task starts, running ones are waited for, and I11: whoever waits is told', async () => {
    const { materializer, runner, write } = given({ workers: 1 })
    write('n', 'a', 1)
    write('m', 'b', 2)
    const a = materializer.materialized('n', ['a'], 1)
    const b = failureOf(() => materializer.materialized('m', ['b'], 2))
    const flushing = failureOf(() => materializer.flush())
    let hasStopped = false
    const stopping = materializer.stop().then(() => (hasStopped = true))
    await settle()
    expect(hasStopped).toBe(false)
    runner.nextMaterialize().answer(DONE)
    await Promise.all([stopping, a])
    expect(await b).toMatchObject({ code: 'TREE_PENDING', outcome: 'committed' })
    expect(await flushing).toMatchObject({ code: 'TREE_STUCK' })
    await pass(200)
    expect(runner.held).toEqual([])
  })

  test('I11: who asks afterwards is told at once', async () => {
    const { materializer, write } = given()
    await materializer.stop()
    await materializer.flush()
    write('n', 'a', 1)
    await refusal('TREE_PENDING', () => materializer.materialized('n', ['a'], 1))
    await refusal('TREE_STUCK', () => materializer.flush())
    await materializer.stop()
  })
})
