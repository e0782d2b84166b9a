import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Queue } from '../src/queue.js'

type Step =
  | { readonly do: 'push' | 'unshift'; readonly item: number }
  | { readonly do: 'shift' }
  /** Leaves out what `by` divides. */
  | { readonly do: 'keep'; readonly by: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('push' as const, 'unshift' as const), item: fc.nat() }),
  fc.constant<Step>({ do: 'shift' }),
  fc.record({ do: fc.constant('keep' as const), by: fc.integer({ min: 2, max: 5 }) }),
)

function run(queue: Queue<number>, model: number[], steps: readonly Step[]): void {
  for (const each of steps) {
    if (each.do === 'push') {
      queue.push(each.item)
      model.push(each.item)
    } else if (each.do === 'unshift') {
      queue.unshift(each.item)
      model.unshift(each.item)
    } else if (each.do === 'keep') {
      queue.keep((item) => item % each.by !== 0)
      model.splice(0, model.length, ...model.filter((item) => item % each.by !== 0))
    } else if (queue.shift() !== model.shift()) {
      expect.unreachable('another item came out')
    }
    if (queue.length !== model.length || queue.peek() !== model[0])
      expect.unreachable('another item is first')
  }
}

describe('Queue', () => {
  test('is an array that is quick at its front', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const queue = new Queue<number>()
        const model: number[] = []
        run(queue, model, steps)
        model.forEach((item, index) => expect(queue.at(index)).toBe(item))
        expect(queue.at(model.length)).toBeUndefined()
      }),
    )
  })

  test('stays right where it gives memory back', () => {
    const queue = new Queue<number>()
    const model: number[] = []
    const pushes = Array.from({ length: 5000 }, (_, item): Step => ({ do: 'push', item }))
    const shifts = (count: number): Step[] => Array.from({ length: count }, () => ({ do: 'shift' }))
    run(queue, model, [...pushes, ...shifts(4000), { do: 'unshift', item: -1 }, ...pushes, ...shifts(6001)])
    expect([queue.length, queue.shift()]).toEqual([0, undefined])
  })
})
