import { expect, test } from 'vitest'
import { QueueInTurn } from '../../src/remote/queue-in-turn.js'

function drain(queue: QueueInTurn<string>): string[] {
  const items: string[] = []
  for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
    expect(queue.shift()).toBe(next)
    items.push(next)
  }
  expect([queue.isEmpty, queue.shift()]).toEqual([true, undefined])
  return items
}

test('lines take turns, and keep their own order', () => {
  const queue = new QueueInTurn<string>()
  expect(drain(queue)).toEqual([])
  for (const item of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', '-1']) {
    queue.push(item.startsWith('-') ? undefined : item[0], item)
  }
  expect(queue.isEmpty).toBe(false)
  expect(drain(queue)).toEqual(['a1', 'b1', '-1', 'a2', 'b2', 'a3', 'a4'])
})

test('a line that was empty comes last; looking at the first one does not pass the turn on', () => {
  const queue = new QueueInTurn<string>()
  for (const item of ['a1', 'a2', 'b1']) queue.push(item[0], item)
  expect([queue.peek(), queue.peek(), queue.shift(), queue.shift()]).toEqual(['a1', 'a1', 'a1', 'b1'])
  queue.push('b', 'b2')
  queue.push('a', 'a3')
  expect(drain(queue)).toEqual(['a2', 'b2', 'a3'])
})

test('what is not kept leaves its line; a line of which nothing is kept loses its turn', () => {
  const queue = new QueueInTurn<string>()
  for (const item of ['a1', 'a2', 'b1', 'b2', 'c1', 'c2', 'c3']) queue.push(item[0], item)
  expect([queue.shift(), queue.length]).toEqual(['a1', 6])
  queue.keep((item) => !['b1', 'b2', 'c1', 'c3'].includes(item))
  expect(queue.length).toBe(2)
  for (const item of ['b3', 'c4']) queue.push(item[0], item)
  expect(drain(queue)).toEqual(['c2', 'a2', 'b3', 'c4'])
  queue.push('a', 'a3')
  queue.keep(() => false)
  expect([queue.length, queue.isEmpty, queue.peek()]).toEqual([0, true, undefined])
})
