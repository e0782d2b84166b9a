import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Admission, Mailbox } from '../../src/coordinator/mailbox.js'
import { NamespaceState } from '../../src/coordinator/namespace-state.js'
import { Request } from '../../src/coordinator/request.js'
import { TERMS, writeOf } from './coordinated.js'

function request(bytes: number, operationCount = 1): Request {
  const operations = Array.from({ length: operationCount }, (_, index) => writeOf(String(index)))
  const body = { kind: 'change', operations, single: false, terms: TERMS } as const
  return new Request(
    body,
    bytes,
    null,
    () => {},
    () => {},
  )
}

function given(bytesMax: number, operationsMax = 1000) {
  const admission = new Admission(bytesMax)
  const admitted: Request[] = []
  const mailbox = (name: string): Mailbox =>
    new Mailbox(
      new NamespaceState(name),
      admission,
      operationsMax,
      (_, one) => void admitted.push(one),
      () => {},
    )
  return { admission, admitted, mailbox }
}

function add(mailbox: Mailbox, bytes: number, operationCount?: number): Request {
  const made = request(bytes, operationCount)
  mailbox.add(made)
  return made
}

/** Requests are equal to the test's matchers when they look alike. */
function areSame(found: readonly unknown[], expected: readonly unknown[]): boolean {
  return found.length === expected.length && found.every((one, index) => one === expected[index])
}

describe('Mailbox', () => {
  test('I3: gives requests in the order in which they came, wherever they had to wait', () => {
    const { mailbox, admission } = given(1000, 2)
    const box = mailbox('n')
    const requests = [1, 2, 3, 4, 5].map((bytes) => add(box, bytes))
    expect([box.insideCount, box.outsideCount]).toEqual([2, 3])
    const taken: (Request | undefined)[] = []
    while (box.insideCount > 0) {
      taken.push(box.take())
      admission.admitWaiting()
    }
    expect(areSame(taken, requests)).toBe(true)
    expect([box.isIdle, admission.bytes, admission.waiting.size]).toEqual([true, 0, 0])
  })

  test('one that comes later does not overtake one that waits outside', () => {
    const { mailbox } = given(10)
    const box = mailbox('n')
    add(box, 6)
    add(box, 6)
    add(box, 1)
    expect([box.insideCount, box.outsideCount]).toEqual([1, 2])
  })

  test('I9: holds no more operations than its bound, but always one request', () => {
    const { mailbox, admission } = given(1000, 5)
    const box = mailbox('n')
    add(box, 1, 8)
    add(box, 1, 1)
    expect([box.insideCount, box.outsideCount]).toEqual([1, 1])
    box.take()
    admission.admitWaiting()
    add(box, 1, 4)
    add(box, 1, 1)
    expect([box.insideCount, box.outsideCount]).toEqual([2, 1])
  })

  test('what was put back comes first again, and counts again', () => {
    const { mailbox, admission } = given(1000)
    const box = mailbox('n')
    const [a, b, c] = [add(box, 1), add(box, 2), add(box, 4)]
    const taken = [box.take()!, box.take()!]
    expect(admission.bytes).toBe(4)
    box.putBack(taken)
    expect(admission.bytes).toBe(7)
    const found = [0, 1, 2, 3].map((index) => box.peekAt(index))
    expect(areSame(found, [a, b, c, undefined])).toBe(true)
  })

  test('a withdrawn request makes room for the next one outside', () => {
    const { mailbox, admission, admitted } = given(10)
    const box = mailbox('n')
    add(box, 10)
    const withdrawn = add(box, 10)
    const next = add(box, 0)
    withdrawn.withdrawn = true
    admission.admitWaiting()
    expect(admitted).toContain(next)
    expect(admitted).not.toContain(withdrawn)
    expect(box.outsideCount).toBe(0)
  })

  test('I9: requests that were given up take no memory, however long the others wait', () => {
    const { mailbox } = given(10)
    const box = mailbox('n')
    add(box, 10)
    add(box, 10)
    for (let index = 0; index < 1000; index++) {
      add(box, 10).withdrawn = true
      expect(box.outsideCount).toBeLessThan(10)
    }
  })

  test('I11: everything can be taken out of it, also where there is no room inside', () => {
    const { mailbox, admission } = given(10)
    const [first, second] = [mailbox('a'), mailbox('b')]
    const requests = [add(first, 0), add(second, 10), add(first, 5), add(first, 6)]
    const taken: Request[] = []
    for (let one = first.take(); one !== undefined; one = first.take()) taken.push(one)
    expect(areSame(taken, [requests[0], requests[2], requests[3]])).toBe(true)
    expect([first.isIdle, admission.bytes]).toEqual([true, 10])
  })
})

describe('Admission', () => {
  test('I9: all mailboxes together hold no more bytes than the bound, but always one request', () => {
    const { mailbox, admission } = given(10)
    const [first, second] = [mailbox('a'), mailbox('b')]
    add(first, 50)
    add(second, 1)
    expect([admission.bytes, second.outsideCount]).toEqual([50, 1])
    first.take()
    admission.admitWaiting()
    expect([admission.bytes, second.outsideCount]).toEqual([1, 0])
  })

  test('what has no bytes waits for none', () => {
    const { mailbox } = given(10)
    const [first, second] = [mailbox('a'), mailbox('b')]
    add(first, 10)
    add(first, 5)
    add(second, 0)
    expect([first.outsideCount, second.outsideCount]).toEqual([1, 0])
  })

  test('I3: mailboxes that wait get room in turn, one request each', () => {
    const { mailbox, admission, admitted } = given(1)
    const boxes = ['a', 'b', 'c'].map(mailbox)
    const first = add(boxes[0]!, 1)
    const waiting = boxes.map((box) => [1, 2, 3].map(() => add(box, 1)))
    let inside = [boxes[0]!]
    while (inside.length > 0) {
      for (const box of inside) box.take()
      const before = admitted.length
      admission.admitWaiting()
      expect(admitted.length - before).toBeLessThanOrEqual(1)
      inside = boxes.filter((box) => box.insideCount > 0)
    }
    const turns = [0, 1, 2].flatMap((turn) => waiting.map((requests) => requests[turn]))
    expect(areSame(admitted, [first, ...turns])).toBe(true)
  })

  test('I3: a large request gets its room although small ones of others keep coming', () => {
    const { mailbox, admission, admitted } = given(10)
    const [small, large] = [mailbox('small'), mailbox('large')]
    for (let index = 0; index < 10; index++) add(small, 1)
    const waiting = add(large, 8)
    for (let round = 0; round < 10 && !admitted.includes(waiting); round++) {
      small.take()
      add(small, 1)
      admission.admitWaiting()
    }
    expect(admitted).toContain(waiting)
  })

  test('I3: one that waits for room in its own mailbox holds up nobody else', () => {
    const { mailbox, admission, admitted } = given(100, 1)
    const [full, other] = [mailbox('full'), mailbox('other')]
    add(full, 1)
    add(full, 1)
    const [first, second] = [add(other, 1), add(other, 1)]
    expect(admitted).toContain(first)
    other.take()
    admission.admitWaiting()
    expect(admitted).toContain(second)
    expect(full.outsideCount).toBe(1)
  })

  test('one that was short and is withdrawn holds up nobody any more', () => {
    const { mailbox, admission, admitted } = given(10)
    const [first, second] = [mailbox('a'), mailbox('b')]
    add(first, 5)
    const short = add(first, 9)
    const small = add(second, 5)
    expect(admitted).not.toContain(small)
    short.withdrawn = true
    admission.admitWaiting()
    expect(admitted).toContain(small)
  })

  test('I9, I11: whatever comes and goes, bounds hold, and everything is admitted in the end', () => {
    const step = fc.oneof(
      fc.record({
        box: fc.nat(2),
        bytes: fc.integer({ min: 0, max: 12 }),
        operations: fc.integer({ min: 1, max: 4 }),
        gives: fc.boolean(),
      }),
      fc.record({ takes: fc.nat(2) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { mailbox, admission, admitted } = given(10, 3)
        const boxes = ['a', 'b', 'c'].map(mailbox)
        for (const each of steps) {
          if ('takes' in each) {
            boxes[each.takes]!.take()
            admission.admitWaiting()
          } else {
            const made = add(boxes[each.box]!, each.bytes, each.operations)
            made.withdrawn = each.gives && !admitted.includes(made)
            if (made.withdrawn) admission.admitWaiting()
          }
          const inside = boxes.flatMap((box) =>
            Array.from({ length: box.insideCount }, (_, index) => box.peekAt(index)!),
          )
          const withBytes = inside.filter(({ bytes }) => bytes > 0)
          expect(admission.bytes).toBe(inside.reduce((sum, { bytes }) => sum + bytes, 0))
          expect(admission.bytes <= 10 || withBytes.length === 1).toBe(true)
          expect(boxes.filter((box) => box.outsideCount > 0)).toEqual(
            boxes.filter((box) => admission.waiting.has(box)),
          )
        }
        while (boxes.some((box) => !box.isIdle)) {
          for (const box of boxes) box.take()
          admission.admitWaiting()
        }
        expect(admission.bytes).toBe(0)
        expect(admission.waiting.size).toBe(0)
      }),
    )
  })
})
