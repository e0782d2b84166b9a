import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromMessage, toMessage } from '../../../src/backend/file/task-message.js'
import type { MaterializeTask, TreeOperation } from '../../../src/backend/file/tasks.js'

const WRITERS = [null, { writerId: 'w' }, { stageId: 's', workerId: 'x' }]

const known = fc.array(fc.nat(2 ** 32 - 1), { maxLength: 4 }).map((numbers) => Uint32Array.from(numbers))
const base = { key: fc.string(), revision: fc.maxSafeNat() }

const operation: fc.Arbitrary<TreeOperation> = fc.oneof(
  fc.record(
    { kind: fc.constant('delete' as const), ...base, known },
    { requiredKeys: ['kind', 'key', 'revision'] },
  ),
  fc.record(
    {
      kind: fc.constant('write' as const),
      ...base,
      atMs: fc.maxSafeNat(),
      writer: fc.constantFrom(...WRITERS),
      // Also times before 1970: the origin's files may have any.
      writerAtS: fc.option(fc.integer({ min: -10, max: 2 ** 40 })),
      anonymous: fc.boolean(),
      value: fc.record({
        segment: fc.constantFrom('/r/0000000000000001', '/r/0000000000000002'),
        position: fc.maxSafeNat(),
        size: fc.nat(2 ** 30),
        crc: fc.nat(2 ** 32 - 1),
      }),
      known,
    },
    { requiredKeys: ['kind', 'key', 'revision', 'atMs', 'writer', 'writerAtS', 'anonymous', 'value'] },
  ),
)

function taskOf(operations: readonly TreeOperation[]): MaterializeTask {
  const modes = { file: 0o600, directory: 0o700 }
  const context = { root: '/r', storeId: 's', modes }
  return {
    kind: 'materialize',
    context,
    namespace: 'n',
    namespaceChange: null,
    removedAtMs: null,
    operations,
  }
}

describe('the message of a materialization', () => {
  test('says the same to the thread that gets it, whatever the operations are', () => {
    fc.assert(
      fc.property(fc.array(operation), (operations) => {
        const task = taskOf(operations)
        expect(fromMessage(structuredClone(toMessage(task)))).toStrictEqual(structuredClone(task))
      }),
    )
  })

  test('names a segment and a writer once, however many operations have them', () => {
    const writer = { writerId: 'w' }
    const value = { segment: '/r/0000000000000001', position: 0, size: 1, crc: 1 }
    const write = {
      kind: 'write',
      revision: 1,
      atMs: 1,
      writer,
      writerAtS: 0,
      anonymous: false,
      value,
    } as const
    const message = toMessage(taskOf(['a', 'b', 'c'].map((key) => ({ ...write, key }))))
    expect(message).toMatchObject({ operations: { segments: [value.segment], writers: [writer] } })
  })
})
