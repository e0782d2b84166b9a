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
