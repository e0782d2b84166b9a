import { describe, expect, test } from 'vitest'
import type { WatchItem, WatchOptions } from '../src/api.js'
import { collect, failureOf, iteratorOf, nextTurn, refusal, take } from '../src/contract/observe.js'
import { stateError } from '../src/errors.js'
import { coordinate, deleteOf, settle, until, writeOf, type Coordinated } from './coordinator/coordinated.js'

function shown(item: WatchItem): string {
  return item.type === 'ready' ? `ready` : `${item.type} ${item.kind} ${item.key}`
}

async function given(limits: Parameters<typeof coordinate>[0] = {}) {
  const made = await coordinate(limits)
  await made.create('n')
  const watch = (options: WatchOptions = {}): AsyncIterableIterator<WatchItem> =>
    made.coordinator.watch('n', options)
  return { ...made, watch }
}

async function next(items: AsyncIterator<WatchItem>, count: number): Promise<string[]> {
  return (await take(items, count)).map(shown)
}

async function upTo(items: AsyncIterator<WatchItem>, last: string): Promise<string[]> {
  const found: string[] = []
  while (found.at(-1) !== last) found.push(...(await next(items, 1)))
  return found
}

/** Nothing of the namespace is in memory, and questions wait for the test. */
async function reopened(made: Coordinated): Promise<Coordinated> {
  await made.coordinator.close({ flush: true })
  const again = await coordinate({}, made.backend)
  made.backend.holdsQuestions = true
  return again
}

/** A write that is being committed has its revision already. The heads of `known`, but no values, are in memory. */
async function whileCommitting(key: string, ...known: readonly string[]) {
  const made = await given()
  for (const each of known) await made.write('n', each)
  const again = await reopened(made)
  const { backend, coordinator } = again
  backend.holdsQuestions = false
  await coordinator.prepareHeads('n', known, undefined)
  backend.holds = true
  const writing = again.write('n', key)
  const commit = await backend.nextCommit()
  // As the file backend does, which gives it before the sync.
  const revision = backend.allocateRevision()
  backend.holdsQuestions = true
  return { ...again, commit, revision, writing }
}

describe('a watch', () => {
  test('gives the changes from the call on, in commit order, with a prefix only those', async () => {
    const { watch, write, remove, change } = await given()
    await write('n', 'before')
    const [all, some] = [watch(), watch({ prefix: 'a/' })]
    await write('n', 'a/b')
    await change('n', [writeOf('a'), deleteOf('a/b')])
    await remove('n', 'before')
    expect(await next(all, 4)).toEqual([
      'change write a/b',
      'change write a',
      'change delete a/b',
      'change delete before',
    ])
    expect(await next(some, 2)).toEqual(['change write a/b', 'change delete a/b'])
  })

  test('initial: what is there, then ready, then the changes; without a gap and without doubles', async () => {
    const made = await given()
    for (const key of ['a', 'b', 'c']) await made.write('n', key)
    const items = iteratorOf(made.watch({ initial: true }))
    expect(await next(items, 1)).toEqual(['initial write a'])
    await made.write('n', 'a')
    await made.write('n', 'b')
    await made.remove('n', 'c')
    await made.write('n', 'd')
    expect(await next(items, 5)).toEqual([
      'initial write b',
      'ready',
      'change write a',
      'change delete c',
      'change write d',
    ])
  })

  test('initial: nor with doubles in a batch, part of which was listed already', async () => {
    const made = await given()
    for (const key of ['a', 'b']) await made.write('n', key)
    const items = iteratorOf(made.watch({ initial: true }))
    expect(await next(items, 1)).toEqual(['initial write a'])
    await made.write('n', 'a')
    await made.change('n', [writeOf('e'), writeOf('b')])
    await made.write('n', 'z')
    expect(await next(items, 5)).toEqual([
      'initial write b',
      'ready',
      'change write a',
      'change write e',
      'change write z',
    ])
  })

  test('initial: what is not in memory is looked up many keys at a time; each is told as it is when its turn comes', async () => {
    const made = await given()
    const keys = Array.from({ length: 150 }, (_, index) => `k${String(index).padStart(3, '0')}`)
    await made.change(
      'n',
      keys.map((key) => writeOf(key)),
    )
    const again = await reopened(made)
    const { headQuestions } = again.backend
    const items = iteratorOf(again.coordinator.watch('n', { initial: true }))
    const first = items.next()
    await until(() => headQuestions.length === 1)
    await headQuestions[0]!.proceed()
    expect(shown((await first).value as WatchItem)).toBe('initial write k000')
    await again.remove('n', 'k001')
    again.backend.holdsQuestions = false
    const rest = [...keys.slice(2).map((key) => `initial write ${key}`), 'ready', 'change delete k001']
    expect(await next(items, rest.length)).toEqual(rest)
    expect(headQuestions.map((question) => question.keys.length)).toEqual([64])
    expect(again.events.external).toEqual([])
  })

  test('initial: a key that can not be looked up ends it where its turn comes, not before', async () => {
    const made = await given()
    for (const key of ['a', 'b']) await made.write('n', key)
    const [head] = await made.backend.heads('n', ['a'])
    const again = await reopened(made)
    const { headQuestions } = again.backend
    const items = iteratorOf(again.coordinator.watch('n', { initial: true }))
    const first = items.next()
    const unreadable = stateError('READ_FAILED', 'no permission', { path: '/n/b' })
    await until(() => headQuestions.length === 1)
    headQuestions[0]!.answer.resolve([head!, { unreadable }])
    expect(shown((await first).value as WatchItem)).toBe('initial write a')
    const second = refusal('READ_FAILED', () => items.next())
    await until(() => headQuestions.length === 2)
    headQuestions[1]!.answer.resolve([{ unreadable }])
    await second
    expect((await items.next()).done).toBe(true)
  })

  test('I11: an error of a lookup ends it: nothing goes on behind the back of who reads it', async () => {
    const made = await given()
    await made.write('n', 'k')
    const again = await reopened(made)
    const items = iteratorOf(again.coordinator.watch('n', { initial: true }))
    const failing = refusal('READ_FAILED', () => items.next())
    await until(() => made.backend.headQuestions.length === 1)
    made.backend.headQuestions[0]!.answer.resolve([
      { unreadable: stateError('READ_FAILED', 'no permission', { path: '/n/k' }) },
    ])
    await failing
    expect((await items.next()).done).toBe(true)
    made.backend.holdsQuestions = false
    await again.write('n', 'other')
    expect((await items.next()).done).toBe(true)
  })

  test('I11: an abort ends it with the reason, once, wherever it is', async () => {
    const made = await given()
    await made.write('n', 'k')
    const again = await reopened(made)
    const controller = new AbortController()
    const items = iteratorOf(again.coordinator.watch('n', { initial: true, signal: controller.signal }))
    const waiting = failureOf(() => items.next())
    await until(() => made.backend.headQuestions.length === 1)
    controller.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ message: 'enough' })
    expect((await items.next()).done).toBe(true)
    const aborted = again.coordinator.watch('n', { signal: AbortSignal.abort(new Error('before')) })
    expect(await failureOf(() => aborted.next())).toMatchObject({ message: 'before' })
    expect((await aborted.next()).done).toBe(true)
    await made.backend.headQuestions[0]!.proceed()
  })

  test('`ready`: whatever has a revision up to it is in what is there, also if it is committed meanwhile', async () => {
    for (let turns = 0; turns < 10; turns++) {
      const { backend, watch, write } = await given()
      backend.holds = true
      const writing = write('n', 'a')
      const commit = await backend.nextCommit()
      const items = iteratorOf(watch({ initial: true }))
      const first = items.next()
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      commit.answerAll({ status: 'committed', revision: 10 })
      const { revision } = await writing
      const found = [(await first).value as WatchItem, ...(await take(items, 1))]
      const ready = found.find(({ type }) => type === 'ready')!
      if (found[0] === ready) {
        expect(ready.revision).toBeLessThan(revision!)
        expect(shown(found[1]!)).toBe('change write a')
      } else {
        expect(found.map(shown)).toEqual(['initial write a', 'ready'])
      }
    }
  })

  test('`ready`: going on from its revision misses no commit that was under way when a file was found to be gone', async () => {
    const { backend, write, coordinator, commit, revision } = await whileCommitting('new', 'k', 'gone')
    const finding = coordinator.read('n', 'gone', undefined)
    await until(() => backend.readQuestions.length === 1)
    backend.readQuestions[0]!.answer.resolve([{ head: null, value: null }])
    await settle()
    const [ready] = await take(iteratorOf(coordinator.watch('n', { initial: true, prefix: 'none' })), 1)
    commit.answerAll({ status: 'committed', revision })
    expect(await finding).toBeNull()
    backend.holds = false
    await write('n', 'last')
    const items = iteratorOf(coordinator.watch('n', { afterRevision: ready!.revision }))
    expect(await upTo(items, 'change write last')).toEqual(['change write new', 'change write last'])
  })

  test('a change of a file that was found to be changed while it was committed is not left out', async () => {
    const { backend, write, coordinator, commit, revision } = await whileCommitting('k', 'k')
    const finding = coordinator.read('n', 'k', undefined)
    await until(() => backend.readQuestions.length === 1)
    const head = { ...(await coordinator.head('n', 'k', undefined))!, external: true, fingerprint: 'by hand' }
    backend.readQuestions[0]!.answer.resolve([{ head, value: Buffer.from('by hand') }])
    await settle()
    const items = iteratorOf(coordinator.watch('n', { initial: true }))
    expect(await next(items, 2)).toEqual(['initial write k', 'ready'])
    commit.answerAll({ status: 'committed', revision })
    await settle()
    backend.holds = false
    await write('n', 'last')
    expect(await upTo(items, 'change write last')).toEqual(['change write k', 'change write last'])
    expect(await finding).toMatchObject({ head: { revision } })
  })

  test('initial: the writer is who made the last change, and nobody where that was anonymous', async () => {
    const { change, coordinator, watch, write } = await given()
    const writer = { writerId: 'ann' }
    for (const key of ['hers', 'nobodys']) await change('n', [writeOf(key)], undefined, { writer })
    await write('n', 'nobodys')
    // For the conflict rules the key is still hers.
    expect((await coordinator.head('n', 'nobodys', undefined))!.writer).toEqual(writer)
    const items = await take(iteratorOf(watch({ initial: true })), 2)
    expect(items).toMatchObject([
      { key: 'hers', writer },
      { key: 'nobodys', writer: null },
    ])
  })

  test('I9: one that nobody reads fails at its bound, and says after which revision nothing was lost', async () => {
    const { watch, write, change } = await given({ eventBufferMax: 3 })
    const items = iteratorOf(watch())
    const { revision } = await write('n', 'a')
    await change('n', [writeOf('b'), writeOf('c'), writeOf('d')])
    expect(await next(items, 3)).toEqual(['change write a', 'change write b', 'change write c'])
    const error = await refusal('WATCH_OVERFLOW', () => items.next())
    expect(error.lastRevision).toBe(revision)
    expect((await items.next()).done).toBe(true)
    const again = iteratorOf(watch({ afterRevision: error.lastRevision }))
    expect(await next(again, 3)).toEqual(['change write b', 'change write c', 'change write d'])
  })

  test('afterRevision: what came since, as long as it is in memory; the rest is a clear error', async () => {
    const { watch, write } = await given({ historyMax: 2 })
    const revisions: number[] = []
    for (const key of ['a', 'b', 'c', 'd']) revisions.push((await write('n', key)).revision!)
    const items = iteratorOf(watch({ afterRevision: revisions[1]! }))
    await write('n', 'e')
    expect(await next(items, 3)).toEqual(['change write c', 'change write d', 'change write e'])
    const error = await refusal('REVISION_COMPACTED', () => watch({ afterRevision: revisions[0]! }).next())
    expect(error.oldestRevision).toBeGreaterThanOrEqual(revisions[1]!)
  })

  test('afterRevision: no change is given any more when the signal has aborted', async () => {
    const { watch, write } = await given()
    const { revision } = await write('n', 'a')
    for (const key of ['b', 'c']) await write('n', key)
    const controller = new AbortController()
    const items = iteratorOf(watch({ afterRevision: revision!, signal: controller.signal }))
    expect(await next(items, 1)).toEqual(['change write b'])
    controller.abort(new Error('enough'))
    expect(await failureOf(() => items.next())).toMatchObject({ message: 'enough' })
    const late = watch({ afterRevision: revision!, signal: controller.signal })
    expect(await failureOf(() => late.next())).toMatchObject({ message: 'enough' })
  })

  test('I11: the end of the store is the end of a watch, after what is buffered', async () => {
    const { watch, write, coordinator } = await given()
    const [buffered, waiting] = [watch(), watch()]
    const pending = waiting.next()
    await write('n', 'a')
    await pending
    const last = waiting.next()
    await coordinator.close({ flush: true })
    coordinator.publisher.end()
    expect((await last).done).toBe(true)
    expect((await collect(buffered)).map(shown)).toEqual(['change write a'])
  })

  test('leaving one frees what it held', async () => {
    const { watch, write, coordinator } = await given()
    const items = watch({ initial: true })
    await items.return!()
    await write('n', 'a')
    expect((await items.next()).done).toBe(true)
    const unpin = coordinator.pin('n')
    unpin()
    await nextTurn()
  })

  test('concurrent reads of it get one item each', async () => {
    const { watch, write } = await given()
    await write('n', 'a')
    const items = watch({ initial: true })
    const reads = [items.next(), items.next(), items.next(), items.next()]
    await write('n', 'b')
    await write('n', 'c')
    const found = (await Promise.all(reads)).map(({ value }) => shown(value as WatchItem))
    expect(found.toSorted()).toEqual(['change write b', 'change write c', 'initial write a', 'ready'])
  })
  test.each(['initial', 'afterRevision'])(
    'concurrent reads of one with `%s` are answered in order, also where a change is part of what was there',
    async (option) => {
      const made = await given()
      const { revision } = await made.write('n', 'k')
      // What came since is not known before the namespace is loaded; until then it comes as a change as well.
      const { write, coordinator, backend } = await reopened(made)
      backend.holdsQuestions = false
      const isInitial = option === 'initial'
      const items = iteratorOf(
        coordinator.watch('n', isInitial ? { initial: true } : { afterRevision: revision! }),
      )
      await write('n', 'k')
      const there = isInitial ? ['initial write k', 'ready'] : ['change write k']
      const expected = [...there, 'change write c', 'change write d']
      const reads = expected.map(() => items.next())
      for (const key of ['c', 'd']) await write('n', key)
      expect((await Promise.all(reads)).map(({ value }) => shown(value as WatchItem))).toEqual(expected)
    },
  )
})
