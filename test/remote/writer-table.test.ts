import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Writer } from '../../src/api.js'
import { BatchReader, MalformedBatch } from '../../src/remote/batch-reader.js'
import { BatchWriter } from '../../src/remote/batch-writer.js'
import { WRITER_SLOTS } from '../../src/remote/wire.js'
import { ReceivedWriters, SentWriters } from '../../src/remote/writer-table.js'

/** Both sides; what was pushed crosses as it would between threads. */
function given() {
  const [sent, received, batch] = [new SentWriters(), new ReceivedWriters(), new BatchWriter()]
  return {
    send: (...writers: readonly (Writer | null)[]): { values: number; received: (Writer | null)[] } => {
      for (const writer of writers) sent.push(batch, writer)
      const crossed = structuredClone(batch.take())
      const reader = new BatchReader(crossed)
      return { values: crossed[0].length, received: writers.map(() => received.take(reader)) }
    },
  }
}

const ann: Writer = { writerId: 'ann', stageId: 's' }
const ben: Writer = { writerId: 'ben' }

describe('identities in answers', () => {
  test('travel once, and are one object on the other side, which nobody can change', () => {
    const { send } = given()
    const first = send(ann, ben, null)
    expect(first.received).toEqual([ann, ben, null])
    const again = send(ben, ann, null)
    expect(again).toEqual({ values: 3, received: [ben, ann, null] })
    expect(again.received[0]).toBe(first.received[1])
    expect(Object.isFrozen(first.received[0])).toBe(true)
  })

  test('never stand for somebody else, however many there are', () => {
    const { send } = given()
    const writers = Array.from({ length: WRITER_SLOTS + 50 }, (_, index): Writer => ({
      writerId: `${index}`,
    }))
    const picks = fc.array(fc.nat({ max: writers.length - 1 }), { minLength: 1, maxLength: 3000 })
    fc.assert(
      fc.property(picks, (picked) => {
        const chosen = picked.map((index) => writers[index]!)
        expect(send(...chosen).received).toEqual(chosen)
      }),
      { numRuns: 20 },
    )
  })

  test.each([
    ['a number that was not given', [0]],
    ['a number beyond the table', [-WRITER_SLOTS - 1, 'w', undefined, undefined, undefined]],
    ['no number', ['w']],
    ['nothing', []],
  ])('%s is malformed', (_, list) => {
    const reader = new BatchReader([list, null, [], []])
    expect(() => new ReceivedWriters().take(reader)).toThrow(MalformedBatch)
  })
})
