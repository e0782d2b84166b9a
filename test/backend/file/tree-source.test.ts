import { describe, expect, test } from 'vitest'
import type { Head } from '../../../src/backend/backend.js'
import { Backlog } from '../../../src/backend/file/backlog.js'
import { Checkpointer } from '../../../src/backend/file/checkpointer.js'
import { Segment } from '../../../src/backend/file/journal.js'
import type { TaskHead, TaskReadAnswer } from '../../../src/backend/file/tasks.js'
import { TreeSource } from '../../../src/backend/file/tree-source.js'
import { failureOf, nextTurn, refusal } from '../../../src/contract/observe.js'
import { WrittenCheckpoint } from './committing.js'
import { START } from './journal-builder.js'
import { ScriptedRunner } from './scripted-runner.js'

const ann = { writerId: 'ann' }
const FAILED = { status: 'failed', code: 'EACCES', path: '/base/n/k', message: 'no permission' } as const
const inTree: TaskHead = {
  revision: 3,
  writer: ann,
  writerAtS: 1,
  anonymous: false,
  external: false,
  size: 4,
  updatedAtMs: 1,
}

function given() {
  const runner = new ScriptedRunner()
  const backlog = new Backlog(() => 0)
  const segment = new Segment(1, '/journal/1', 4096, START, 0)
  const checkpointer = new Checkpointer(new WrittenCheckpoint({ ceiling: 90, epoch: 80 }).file)
  const context = { root: '/base', storeId: 'id', modes: { file: 0o600, directory: 0o700 } }
  const source = new TreeSource(runner, context, backlog, checkpointer)
  return {
    runner,
    backlog,
    segment,
    source,
    write: (key: string, revision: number, namespace = 'n') =>
      backlog.addWrite(namespace, {
        key,
        revision,
        atMs: revision,
        segment,
        writer: ann,
        writerAtS: 2,
        anonymous: false,
        size: 4,
        crc: 7,
        position: 100,
      }),
    remove: (key: string, revision: number) =>
      backlog.addDelete('n', { key, revision, atMs: revision, segment }),
  }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const pendingHead = (revision: number): Head => ({ ...inTree, revision, writerAtS: 2, updatedAtMs: revision })
const found = (start: number, size: number, head: TaskHead | null = inTree): TaskReadAnswer => ({
  status: 'found',
  head,
  corruptMetadata: null,
  start,
  size,
})

describe('namespaces', () => {
  test('are those in the tree, with what the backlog does to them', async () => {
    const { runner, backlog, segment, source, write } = given()
    runner.script = () => ['in-tree', 'removed', 'again']
    backlog.addCreate('made', 1, 1, segment)
    backlog.addRemove('removed', 2, 2, segment)
    backlog.addRemove('again', 3, 3, segment)
    backlog.addCreate('again', 4, 4, segment)
    write('k', 5, 'in-tree')
    expect((await source.namespaces()).toSorted()).toEqual(['again', 'in-tree', 'made'])
  })
})

describe('loading', () => {
  const scanned = (exists: boolean, ...keys: string[]) => ({ exists, keys, failure: null })

  test('what the tree has is brought up to date', async () => {
    const { runner, source, write, remove } = given()
    runner.script = () => scanned(true, 'old', 'gone', 'both')
    write('new', 1)
    write('both', 2)
    remove('gone', 3)
    const { exists, keys } = await source.load('n')
    expect([exists, keys.toSorted()]).toEqual([true, ['both', 'new', 'old']])
  })

  test('of a removed namespace only what came later is there', async () => {
    const { runner, backlog, segment, source, write } = given()
    runner.script = () => scanned(true, 'old')
    backlog.addRemove('n', 1, 1, segment)
    expect(await source.load('n')).toEqual({ exists: false, keys: [] })
    backlog.addCreate('n', 2, 2, segment)
    write('new', 3)
    expect(await source.load('n')).toEqual({ exists: true, keys: ['new'] })
  })

  test('a namespace exists as soon as its creation is durable', async () => {
    const { runner, backlog, segment, source } = given()
    runner.script = () => scanned(false)
    expect(await source.load('n')).toEqual({ exists: false, keys: [] })
    backlog.addCreate('n', 1, 1, segment)
    expect(await source.load('n')).toEqual({ exists: true, keys: [] })
  })

  test('what gets into the tree while it is looked at is counted once, and what leaves it not at all', async () => {
    const { runner, backlog, source, write, remove } = given()
    write('new', 1)
    remove('gone', 2)
    const loading = source.load('n')
    const namespace = backlog.get('n')!
    for (const pending of [...namespace.entries.values()]) backlog.done(namespace, pending)
    runner.next('scan-namespace').answer(scanned(true, 'gone'))
    expect((await loading).keys).toEqual(['new'])
  })

  test('"no permission" is not "not there"', async () => {
    const { runner, source } = given()
    runner.script = () => ({ exists: true, keys: [], failure: { ...FAILED, path: '/base/n' } })
    const error = await refusal('READ_FAILED', () => source.load('n'))
    expect(error).toMatchObject({ namespace: 'n', path: '/base/n', cause: 'EACCES', retryable: true })
  })
})

describe('heads', () => {
  test('of what is pending they come from memory, of the rest from the tree, in the order of the keys', async () => {
    const { runner, source, write, remove } = given()
    write('new', 5)
    remove('gone', 6)
    const asking = source.heads('n', ['old', 'new', 'missing', 'gone', 'bad', 'denied'])
    const { task, answer } = runner.next('heads')
    expect(task).toMatchObject({ keys: ['old', 'missing', 'bad', 'denied'], ceiling: 90, epoch: 80 })
    answer([
      { status: 'found', head: inTree },
      { status: 'missing' },
      { status: 'corrupt-metadata', path: '/meta', head: inTree },
      FAILED,
    ])
    expect(await asking).toMatchObject([
      inTree,
      pendingHead(5),
      null,
      null,
      { corrupt: '/meta', head: inTree },
      { unreadable: { code: 'READ_FAILED', key: 'denied', path: '/base/n/k' } },
    ])
  })

  test('nobody is asked for what is in memory', async () => {
    const { runner, backlog, segment, source, write } = given()
    backlog.addRemove('n', 4, 4, segment)
    write('new', 5)
    expect(await source.heads('n', ['new', 'removed'])).toEqual([pendingHead(5), null])
    expect(runner.held).toEqual([])
  })
})

describe('reading', () => {
  test('a pending value comes from the journal, with its head from memory; any other from its file', async () => {
    const { runner, source, write } = given()
    write('new', 5)
    const reading = source.read('n', ['old', 'new', 'missing'])
    await nextTurn()
    const { task, answer } = runner.next('read')
    expect(task.entries).toEqual([
      { namespace: 'n', key: 'old' },
      { namespace: 'n', key: 'new', value: { segment: '/journal/1', position: 100, size: 4, crc: 7 } },
      { namespace: 'n', key: 'missing' },
    ])
    answer({
      answers: [found(0, 4), found(4, 4, null), { status: 'missing' }],
      bytes: bytesOf('treelogs'),
    })
    expect(await reading).toEqual([
      { head: inTree, value: bytesOf('tree') },
      { head: pendingHead(5), value: bytesOf('logs') },
      { head: null, value: null },
    ])
  })

  test('small values lie together in the memory of their answer, if they are most of it', async () => {
    const { runner, source } = given()
    const keptOf = async (size: number, answerBytes: number): Promise<number> => {
      runner.script = () => ({ answers: [found(0, size)], bytes: new Uint8Array(answerBytes) })
      const [answer] = await source.read('n', ['k'])
      expect(answer!.value).toHaveLength(size)
      return answer!.value!.buffer.byteLength
    }
    expect(await keptOf(500, 1000)).toBe(1000)
    expect(await keptOf(500, 1001)).toBe(500)
    expect(await keptOf(0, 0)).toBe(0)
    expect(await keptOf(2000, 4000)).toBe(2000)
  })

  test('I2: a key whose deletion is durable is missing, although its file may still be there', async () => {
    const { runner, source, remove } = given()
    remove('gone', 5)
    runner.script = (task) => ({
      answers: task.kind === 'read' ? task.entries.map(() => found(0, 4)) : [],
      bytes: bytesOf('tree'),
    })
    expect(await source.read('n', ['gone', 'there'])).toMatchObject([
      { head: null, value: null },
      { head: inTree },
    ])
  })

  test('the segment of a pending value stays in its place until it is read, also where that fails', async () => {
    const { runner, source, write, segment } = given()
    write('new', 5)
    const reading = source.read('n', ['new'])
    await nextTurn()
    expect(segment.holders).toBe(2)
    runner.next('read').answer({ answers: [found(0, 4, null)], bytes: bytesOf('logs') })
    await reading
    expect(segment.holders).toBe(1)
    const failing = failureOf(() => source.read('n', ['new']))
    await nextTurn()
    runner.next('read').fail(new Error('the worker died'))
    expect(await failing).toMatchObject({
      ...{ code: 'READ_FAILED', namespace: 'n', key: 'new', path: '/base/n' },
      cause: new Error('the worker died'),
    })
    expect(segment.holders).toBe(1)
  })

  test('I9: what is too much for one answer is asked for again', async () => {
    const { runner, source } = given()
    const reading = source.read('n', ['a', 'b', 'c'])
    await nextTurn()
    runner.next('read').answer({
      answers: [found(0, 1), { status: 'later' }, { status: 'later' }],
      bytes: bytesOf('a'),
    })
    await nextTurn()
    const second = runner.next('read')
    expect(second.task.entries).toEqual([
      { namespace: 'n', key: 'b' },
      { namespace: 'n', key: 'c' },
    ])
    second.answer({ answers: [found(0, 1), found(1, 1)], bytes: bytesOf('bc') })
    expect((await reading).map(({ value }) => Buffer.from(value!).toString())).toEqual(['a', 'b', 'c'])
  })

  test('what waits for a worker is looked up when it has its turn: by then it may be in the tree, or deleted', async () => {
    const { runner, source, backlog, write, remove } = given()
    write('landed', 5)
    write('deleted', 6)
    const before = Array.from({ length: 32 }, (_, index) => `before${index}`)
    const reading = source.read('n', before)
    await nextTurn()
    const waiting = source.read('n', ['landed', 'deleted'])
    await nextTurn()
    const namespace = backlog.get('n')!
    backlog.done(namespace, namespace.entries.get('landed')!)
    remove('deleted', 7)
    const sixteen = { answers: before.slice(16).map(() => found(0, 4)), bytes: bytesOf('tree') }
    runner.next('read').answer(sixteen)
    await nextTurn()
    runner.next('read').answer(sixteen)
    expect(await reading).toHaveLength(32)
    const last = runner.next('read')
    expect(last.task.entries).toEqual([
      { namespace: 'n', key: 'landed' },
      { namespace: 'n', key: 'deleted' },
    ])
    last.answer({ answers: [found(0, 4), found(0, 4)], bytes: bytesOf('tree') })
    expect(await waiting).toMatchObject([{ head: inTree }, { head: null, value: null }])
  })

  test('damage is told from what can not be read, with the place that it has', async () => {
    const { runner, source, write } = given()
    write('journal', 5)
    const reading = source.read('n', ['tree', 'journal', 'denied', 'metadata'])
    await nextTurn()
    runner.next('read').answer({
      answers: [
        { status: 'corrupt', head: inTree, path: '/base/n/tree', offset: null },
        { status: 'corrupt', head: null, path: '/journal/1', offset: 100 },
        FAILED,
        { ...found(0, 1), corruptMetadata: '/meta' } as TaskReadAnswer,
      ],
      bytes: bytesOf('x'),
    })
    expect(await reading).toMatchObject([
      { head: inTree, value: null, error: { code: 'CONTENT_CORRUPT', key: 'tree', path: '/base/n/tree' } },
      {
        head: pendingHead(5),
        value: null,
        error: { code: 'JOURNAL_CORRUPT', key: 'journal', path: '/journal/1', offset: 100 },
      },
      { head: { unreadable: { code: 'READ_FAILED', key: 'denied' } }, value: null },
      { head: { corrupt: '/meta', head: inTree }, value: bytesOf('x') },
    ])
  })
})
