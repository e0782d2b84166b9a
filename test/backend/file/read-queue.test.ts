import { describe, expect, test } from 'vitest'
import type { ReadAnswer } from '../../../src/backend/backend.js'
import { ReadQueue, type TreeRead } from '../../../src/backend/file/read-queue.js'
import { deferred, failureOf, nextTurn, type Deferred } from '../../../src/contract/observe.js'

interface HeldRead {
  readonly reads: readonly TreeRead[]
  readonly answer: Deferred<readonly ReadAnswer[]>
}

/** A queue whose tasks a test answers. */
function given() {
  const tasks: HeldRead[] = []
  const queue = new ReadQueue((reads) => {
    const answer = deferred<readonly ReadAnswer[]>()
    tasks.push({ reads, answer })
    return answer.promise
  })
  return {
    queue,
    tasks,
    /** Answers the oldest task, or only so many of its reads; each value names what it is of. */
    async answerNext(count = Infinity): Promise<void> {
      const { reads, answer } = tasks.shift()!
      answer.resolve(reads.slice(0, count).map(answerOf))
      await nextTurn()
    },
  }
}

const answerOf = ({ namespace, key }: TreeRead): ReadAnswer => ({
  head: null,
  value: Buffer.from(`${namespace}/${key}`),
})
const namesOf = (reads: readonly TreeRead[]): string[] =>
  reads.map(({ namespace, key }) => `${namespace}/${key}`)
const textsOf = (answers: readonly ReadAnswer[]): string[] =>
  answers.map(({ value }) => Buffer.from(value!).toString())
const keys = (count: number, prefix = 'k'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe('reads of one turn', () => {
  test('go together, whatever namespaces they are of, in their order', async () => {
    const { queue, tasks } = given()
    void queue.read('a', ['k', 'l'])
    void queue.read('b', ['k', 'l'])
    expect(tasks).toEqual([])
    await nextTurn()
    expect(tasks.map(({ reads }) => namesOf(reads))).toEqual([['a/k', 'a/l', 'b/k', 'b/l']])
  })

  test('are spread over two tasks when there are many', async () => {
    const { queue, tasks } = given()
    void queue.read('a', keys(30))
    void queue.read('b', keys(10))
    await nextTurn()
    expect(tasks.flatMap(({ reads }) => namesOf(reads))).toEqual([...keys(30, 'a/k'), ...keys(10, 'b/k')])
    expect(tasks.map(({ reads }) => reads.length)).toEqual([20, 20])
  })

  test('are answered question by question, each in the order of its keys, however they were spread', async () => {
    const { queue, tasks, answerNext } = given()
    const questions = [queue.read('a', keys(30)), queue.read('b', keys(2)), queue.read('a', ['k0', 'k0'])]
    await nextTurn()
    expect(tasks.length).toBe(2)
    tasks.reverse()
    await answerNext()
    await answerNext()
    expect((await Promise.all(questions)).map(textsOf)).toEqual([
      keys(30, 'a/k'),
      ['b/k0', 'b/k1'],
      ['a/k0', 'a/k0'],
    ])
  })

  test('are no task where there are none', async () => {
    const { queue, tasks } = given()
    expect(await queue.read('a', [])).toEqual([])
    await nextTurn()
    expect(tasks).toEqual([])
  })
})

describe('while two tasks are under way', () => {
  test('nothing else begins; what was asked for meanwhile goes together, when one is answered (I9)', async () => {
    const { queue, tasks, answerNext } = given()
    void queue.read('a', keys(32))
    await nextTurn()
    const late = keys(10, 'late').map((key) => queue.read('a', [key]))
    await nextTurn()
    expect(tasks.length).toBe(2)
    await answerNext()
    expect(tasks.map(({ reads }) => reads.length)).toEqual([16, 10])
    await answerNext()
    await answerNext()
    expect((await Promise.all(late)).flatMap(textsOf)).toEqual(keys(10, 'a/late'))
  })

  test('a task has no more than 64 reads, and the rest follows', async () => {
    const { queue, tasks, answerNext } = given()
    const reading = queue.read('a', keys(200))
    await nextTurn()
    const sizes: number[] = []
    while (tasks.length > 0) {
      expect(tasks.length).toBeLessThanOrEqual(2)
      sizes.push(tasks[0]!.reads.length)
      await answerNext()
    }
    expect(Math.max(...sizes)).toBe(64)
    expect(textsOf(await reading)).toEqual(keys(200, 'a/k'))
  })
})

test('what there was no room for is asked for again, before what came later (I9)', async () => {
  const { queue, tasks, answerNext } = given()
  const first = queue.read('large', keys(32))
  await nextTurn()
  const second = queue.read('late', ['k'])
  await answerNext(14)
  expect(tasks.map(({ reads }) => namesOf(reads))).toEqual([
    keys(32, 'large/k').slice(16),
    ['large/k14', 'large/k15', 'late/k'],
  ])
  while (tasks.length > 0) await answerNext()
  expect(textsOf(await first)).toEqual(keys(32, 'large/k'))
  expect(textsOf(await second)).toEqual(['late/k'])
})

test('of a task that fails each read is tried alone: only who asked for the one that fails is told (I11)', async () => {
  const { queue, tasks, answerNext } = given()
  const failing = failureOf(() => queue.read('a', keys(15)))
  const others = [queue.read('b', keys(2)), queue.read('c', keys(15))]
  await nextTurn()
  expect(tasks.map(({ reads }) => namesOf(reads))).toEqual([
    [...keys(15, 'a/k'), 'b/k0'],
    ['b/k1', ...keys(15, 'c/k')],
  ])
  tasks.shift()!.answer.reject(new Error('the worker died'))
  await nextTurn()
  expect(namesOf(tasks[1]!.reads)).toEqual(['a/k0'])
  tasks.splice(1)[0]!.answer.reject(new Error('the worker died again'))
  expect(await failing).toMatchObject({ message: 'the worker died again' })
  // Nobody waits for the others of that question any more.
  const read: string[] = []
  while (tasks.length > 0) {
    read.push(...namesOf(tasks[0]!.reads))
    await answerNext()
  }
  expect(read).toEqual(['b/k1', ...keys(15, 'c/k'), 'b/k0'])
  expect((await Promise.all(others)).map(textsOf)).toEqual([['b/k0', 'b/k1'], keys(15, 'c/k')])
  const next = [queue.read('a', ['k0']), queue.read('b', ['k0'])]
  await nextTurn()
  while (tasks.length > 0) await answerNext()
  expect((await Promise.all(next)).flatMap(textsOf)).toEqual(['a/k0', 'b/k0'])
})
