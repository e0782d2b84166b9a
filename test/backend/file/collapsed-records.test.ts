import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Backlog, type Pending } from '../../../src/backend/file/backlog.js'
import { CollapsedRecords } from '../../../src/backend/file/collapsed-records.js'
import { Segment } from '../../../src/backend/file/journal.js'
import { KnownContents } from '../../../src/backend/file/known-contents.js'
import type { JournalRecord } from '../../../src/backend/file/tasks.js'
import { START } from './journal-builder.js'

const SEGMENT = new Segment(1, '', 0, START, 0)

function record(namespace: string, revision: number, body: JournalRecord['body']): JournalRecord {
  return { namespace, revision, atMs: revision, body }
}

function write(namespace: string, key: string, revision: number): JournalRecord {
  const common = { writer: null, writerAtS: null, anonymous: true, segment: 1, position: revision }
  return record(namespace, revision, { kind: 'write', key, size: revision, crc: revision, ...common })
}

function collapse(records: readonly JournalRecord[]): readonly JournalRecord[] {
  const collapsed = new CollapsedRecords()
  for (const each of records) collapsed.add(each)
  expect(collapsed.count).toBe(records.length)
  return collapsed.finish()
}

/** What recovery makes of records. */
function recovered(records: readonly JournalRecord[]): unknown {
  const backlog = new Backlog(() => 0)
  for (const each of records) backlog.addRecovered(each, () => SEGMENT)
  const shown = [...backlog].map(({ name, change, entries, knownBefore }) => ({
    name,
    change: change && [change.change, change.revision],
    entries: new Map([...entries.values()].map((pending) => [pending.key, shownEntry(pending)])),
    knownBefore: new Map([...knownBefore].map(([key, known]) => [key, shownContents(known)])),
  }))
  return new Map(shown.map((namespace) => [namespace.name, namespace]))
}

function shownEntry({ segment: _, known, ...pending }: Pending): unknown {
  return { ...pending, known: shownContents(known!) }
}

function shownContents(known: KnownContents): unknown {
  return new Set(known.packed())
}

const NAMESPACES = ['n', 'm'] as const

interface Step {
  readonly namespace: string
  readonly key: string
  readonly kind: 'write' | 'delete' | 'create' | 'remove' | 'superseded'
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    namespace: fc.constantFrom(...NAMESPACES),
    key: fc.constantFrom('a', 'b', 'a/b'),
    kind: fc.constantFrom('write', 'write', 'write', 'delete', 'create', 'remove', 'superseded'),
  }),
  { maxLength: 40 },
)

function toRecord({ namespace, key, kind }: Step, index: number): JournalRecord {
  const revision = index + 1
  if (kind === 'write') return write(namespace, key, revision)
  if (kind === 'delete') return record(namespace, revision, { kind, key })
  const contents = Uint32Array.of(1000 + revision, 1000 + revision)
  if (kind === 'superseded') return record(namespace, revision, { kind, key, contents })
  return record(namespace, revision, { kind })
}

describe('records of a window', () => {
  test('I6: have the effect of all, wherever a window ends, whatever each key had before included', () => {
    fc.assert(
      fc.property(steps, fc.nat(40), (made, cut) => {
        const records = made.map(toRecord)
        const windows = [...collapse(records.slice(0, cut)), ...collapse(records.slice(cut))]
        expect(recovered(windows)).toEqual(recovered(records))
      }),
    )
  })

  test('I6: what was carried on behind a later one does not take its place', () => {
    const records = [write('n', 'k', 9), write('n', 'k', 4), record('n', 3, { kind: 'remove' })]
    expect(collapse(records).map(({ revision, body }) => [revision, body.kind])).toEqual([
      [9, 'write'],
      [9, 'superseded'],
      [3, 'remove'],
    ])
  })

  test('I9: of a key there are two at most, and eight bytes for each content that it had', () => {
    const records = Array.from({ length: 10_000 }, (_, index) => write('n', 'k', index + 1))
    const [latest, earlier, ...more] = collapse(records)
    expect(latest).toEqual(records.at(-1))
    expect(more).toEqual([])
    const { body } = earlier!
    expect(body.kind === 'superseded' && body.contents.byteLength).toBe(8 * 9999)
  })
})

describe('the contents that a key had', () => {
  test('I9: take at most twice the eight bytes that each needs', () => {
    const known = new KnownContents()
    for (let count = 1; count <= 1000; count++) {
      known.add({ size: count, crc: 2 ** 32 - count })
      expect(known.bytes).toBe(8 * count)
    }
    expect([...known.packed().subarray(0, 4)]).toEqual([1, 2 ** 32 - 1, 2, 2 ** 32 - 2])
    expect(known.packed().buffer.byteLength).toBe(8000)
  })

  test('leave out the one that is told of elsewhere', () => {
    const known = new KnownContents()
    for (const size of [1, 2, 1, 3]) known.add({ size, crc: 7 })
    expect([...known.packed({ size: 1, crc: 7 })]).toEqual([2, 7, 3, 7])
    expect([...known.packed({ size: 1, crc: 8 })]).toEqual([1, 7, 2, 7, 1, 7, 3, 7])
  })
})
