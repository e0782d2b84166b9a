import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  Backlog,
  toTreeOperation,
  type NamespaceBacklog,
  type Pending,
  type PendingNamespace,
} from '../../../src/backend/file/backlog.js'
import { Segment } from '../../../src/backend/file/journal.js'
import type { JournalRecord, TreeOperation } from '../../../src/backend/file/tasks.js'
import { compareUtf8 } from '../../../src/utf8.js'
import { START } from './journal-builder.js'

const FAILURE = { index: 0, code: 'EACCES', message: 'no permission' }

function segment(id = 1): Segment {
  return new Segment(id, `/journal/${id}`, 4096, START, 0)
}

function written(key: string, revision: number, where: Segment) {
  const common = { writer: null, writerAtS: null, anonymous: true, size: 1, crc: 2 }
  return { key, revision, atMs: revision, segment: where, position: revision * 10, ...common }
}

/** The operation as it goes to a worker. */
function tried(backlog: Backlog, key: string): TreeOperation {
  const pending = backlog.find('n', key)!
  backlog.trying([pending])
  return toTreeOperation(pending)
}

function pendingOf(backlog: Backlog, namespace: string): (Pending | PendingNamespace)[] {
  const found = backlog.get(namespace)
  if (found === undefined) return []
  return [...(found.change === null ? [] : [found.change]), ...found.entries.values()]
}

/** All that the counters say, counted anew. */
function checkCounts(backlog: Backlog, segments: readonly Segment[]): void {
  const all = [...backlog].flatMap(({ name }) => pendingOf(backlog, name))
  expect(backlog.count).toBe(all.length)
  const bytes = all.map((pending) =>
    'key' in pending ? 96 + pending.key.length + (pending.kind === 'write' ? pending.size : 0) : 0,
  )
  expect(backlog.bytes).toBe(bytes.reduce((sum, each) => sum + each, 0))
  const stuck = all.map(({ failure }) => failure !== null)
  expect(backlog.stuckCount).toBe(stuck.filter(Boolean).length)
  expect(backlog.stuckBytes).toBe(bytes.reduce((sum, each, index) => sum + (stuck[index]! ? each : 0), 0))
  for (const namespace of backlog) {
    const own = pendingOf(backlog, namespace.name)
    expect(namespace.count).toBe(own.length)
    expect(namespace.stuckCount).toBe(own.filter(({ failure }) => failure !== null).length)
    expect(own.length > 0 || namespace.isBusy).toBe(true)
  }
  for (const each of segments) {
    expect(each.holders).toBe(all.filter((pending) => pending.segment === each).length)
  }
}

test('I1: behind a removal that the tree does not show, the segment with the removal is held as long as that', () => {
  const [older, newer] = [segment(1), segment(2)]
  const backlog = new Backlog(() => 0)
  backlog.addRemove('n', 3, 3, older)
  backlog.addCreate('n', 4, 4, newer)
  backlog.addCreate('n', 5, 5, newer)
  expect(pendingOf(backlog, 'n')).toMatchObject([{ change: 'recreate', revision: 5, segment: older }])
  expect([older.holders, newer.holders]).toEqual([1, 0])
  backlog.doneNamespace(backlog.get('n')!, backlog.get('n')!.change!)
  expect([older.holders, newer.holders]).toEqual([0, 0])
})

test('I9: what is carried again and again by openings that do not get through is known once', () => {
  const backlog = new Backlog(() => 0)
  const where = segment()
  const record = (body: JournalRecord['body'], revision: number): void =>
    backlog.addRecovered({ namespace: 'n', revision, atMs: 1, body }, () => where)
  const write = (crc: number) =>
    ({ kind: 'write', ...written('k', 1, where), crc, segment: 1 }) as unknown as JournalRecord['body']
  for (let opening = 0; opening < 10; opening++) {
    if (opening === 0) record(write(1), 1)
    record(write(2), 2)
    const { known } = backlog.find('n', 'k')!
    const contents = known!.packed({ size: 1, crc: 2 })
    expect(contents).toEqual(opening === 0 ? Uint32Array.of(1, 1) : Uint32Array.of(1, 1, 2, 3))
    record({ kind: 'superseded', key: 'k', contents: Uint32Array.of(...contents, 2, 3, 2, 3) }, 2)
  }
})

const KEYS = ['a', 'a/b', 'a/b/c', 'a/d', 'e', 'e/f']

type Step =
  | { readonly do: 'write' | 'delete' | 'done' | 'failed' | 'move'; readonly key: string }
  | { readonly do: 'create' | 'remove' | 'done-namespace' | 'failed-namespace' | 'busy' | 'ended' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom(
      'write' as const,
      'delete' as const,
      'done' as const,
      'failed' as const,
      'move' as const,
    ),
    key: fc.constantFrom(...KEYS),
  }),
  fc.record({
    do: fc.constantFrom(
      'create' as const,
      'remove' as const,
      'done-namespace' as const,
      'failed-namespace' as const,
      'busy' as const,
      'ended' as const,
    ),
  }),
)

function apply(backlog: Backlog, each: Step, revision: number, segments: readonly Segment[]): void {
  const where = segments[revision % segments.length]!
  const namespace = backlog.get('n')
  switch (each.do) {
    case 'write':
      return backlog.addWrite('n', written(each.key, revision, where))
    case 'delete':
      return backlog.addDelete('n', { key: each.key, revision, atMs: revision, segment: where })
    case 'create':
      return backlog.addCreate('n', revision, revision, where)
    case 'remove':
      return backlog.addRemove('n', revision, revision, where)
    case 'busy':
      if (namespace !== undefined) namespace.isBusy = true
      return
    case 'ended':
      if (namespace !== undefined) backlog.ended(namespace)
      return
    case 'done-namespace':
      if (namespace?.change) backlog.doneNamespace(namespace, namespace.change)
      return
    case 'failed-namespace':
      if (namespace?.change) backlog.failed(namespace, namespace.change, FAILURE)
      return
    case 'done':
    case 'failed':
    case 'move':
      return applyTo(backlog, each.do, namespace, each.key, where)
  }
}

function applyTo(
  backlog: Backlog,
  what: 'done' | 'failed' | 'move',
  namespace: NamespaceBacklog | undefined,
  key: string,
  where: Segment,
): void {
  const pending = namespace?.entries.get(key)
  if (namespace === undefined || pending === undefined) return
  if (what === 'done') backlog.done(namespace, pending)
  else if (what === 'failed') backlog.failed(namespace, pending, FAILURE)
  else backlog.move(pending, where, 7)
}

describe('Backlog', () => {
  test('I9: counts and holders of segments are right after any sequence of steps', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const segments = [segment(1), segment(2), segment(3)]
        const backlog = new Backlog(() => 0)
        steps.forEach((each, index) => {
          apply(backlog, each, index + 1, segments)
          checkCounts(backlog, segments)
        })
      }),
    )
  })

  test('the deletions that make room for a key are those at its ancestors and below it, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const segments = [segment()]
        const backlog = new Backlog(() => 0)
        steps.forEach((each, index) => apply(backlog, each, index + 1, segments))
        const namespace = backlog.get('n')
        if (namespace === undefined) return
        for (const key of KEYS) {
          const expected = [...namespace.entries.values()].filter(
            (pending) =>
              pending.kind === 'delete' &&
              (pending.key.startsWith(`${key}/`) || key.startsWith(`${pending.key}/`)),
          )
          expect(new Set(namespace.deletionsFor(key))).toEqual(new Set(expected))
        }
      }),
    )
  })

  test('repeated writes of a key collapse; the place in the order is that of the first', () => {
    const [one, two] = [segment(1), segment(2)]
    const backlog = new Backlog(() => 0)
    backlog.addWrite('n', written('a', 1, one))
    backlog.addWrite('n', written('b', 2, one))
    backlog.addWrite('n', written('a', 3, two))
    expect([...backlog.get('n')!.entries.values()].map(({ key, revision }) => [key, revision])).toEqual([
      ['a', 3],
      ['b', 2],
    ])
    expect([one.holders, two.holders, backlog.count]).toEqual([1, 1, 2])
  })

  test('an operation that was superseded while a task had it does not take the later one away', () => {
    const backlog = new Backlog(() => 0)
    const where = segment()
    backlog.addWrite('n', written('a', 1, where))
    const namespace = backlog.get('n')!
    const first = namespace.entries.get('a')!
    namespace.isBusy = true
    backlog.addDelete('n', { key: 'a', revision: 2, atMs: 2, segment: where })
    backlog.done(namespace, first)
    backlog.failed(namespace, first, FAILURE)
    backlog.ended(namespace)
    expect(backlog.find('n', 'a')).toMatchObject({ kind: 'delete', revision: 2, failure: null })
    expect([backlog.count, backlog.stuckCount]).toEqual([1, 0])
  })

  test('a removal takes the place of what was there; a creation behind it keeps it in mind', () => {
    const backlog = new Backlog(() => 0)
    const where = segment()
    backlog.addCreate('n', 1, 1, where)
    backlog.addWrite('n', written('a', 2, where))
    backlog.addRemove('n', 3, 3, where)
    expect(pendingOf(backlog, 'n')).toMatchObject([{ change: 'remove', revision: 3 }])
    backlog.addCreate('n', 4, 4, where)
    backlog.addWrite('n', written('a', 5, where))
    expect(pendingOf(backlog, 'n')).toMatchObject([{ change: 'recreate', revision: 4 }, { revision: 5 }])
    backlog.addCreate('n', 6, 6, where)
    expect(backlog.get('n')!.change).toMatchObject({ change: 'recreate', revision: 6 })
  })

  test('I3: a namespace whose task has ended comes behind the others', () => {
    const backlog = new Backlog(() => 0)
    const where = segment()
    for (const name of ['a', 'b', 'c']) backlog.addWrite(name, written('k', 1, where))
    const first = backlog.get('a')!
    first.isBusy = true
    backlog.addWrite('a', written('k', 2, where))
    backlog.ended(first)
    expect([...backlog].map(({ name }) => name)).toEqual(['b', 'c', 'a'])
  })

  test('I9: nothing is kept of a namespace that has nothing pending', () => {
    const backlog = new Backlog(() => 0)
    const where = segment()
    for (let index = 0; index < 100; index++) {
      const name = `n${index}`
      backlog.addCreate(name, 1, 1, where)
      backlog.addWrite(name, written('k', 2, where))
      const namespace = backlog.get(name)!
      backlog.done(namespace, namespace.entries.get('k')!)
      backlog.doneNamespace(namespace, namespace.change!)
    }
    expect([...backlog]).toEqual([])
    expect(where.holders).toBe(0)
  })

  test('an operation goes to a worker with its value still in the journal', () => {
    const backlog = new Backlog(() => 0)
    backlog.addWrite('n', written('a', 4, segment(9)))
    backlog.addDelete('n', { key: 'b', revision: 5, atMs: 5, segment: segment(9) })
    const [write, removal] = [...backlog.get('n')!.entries.values()].map(toTreeOperation)
    expect(write).toEqual({
      kind: 'write',
      key: 'a',
      revision: 4,
      atMs: 4,
      writer: null,
      writerAtS: null,
      anonymous: true,
      value: { segment: '/journal/9', position: 40, size: 1, crc: 2 },
    })
    expect(removal).toEqual({ kind: 'delete', key: 'b', revision: 5 })
  })
})

describe('what recovery adds', () => {
  const where = segment(1)

  function recover(records: readonly JournalRecord[]): Backlog {
    const backlog = new Backlog(() => 0)
    for (const record of records) backlog.addRecovered(record, () => where)
    return backlog
  }

  function summary(backlog: Backlog): unknown {
    return [...backlog].map((namespace) => ({
      name: namespace.name,
      change: namespace.change && [namespace.change.change, namespace.change.revision],
      entries: [...namespace.entries.values()]
        .map(({ kind, key, revision }) => `${kind} ${key} ${revision}`)
        .toSorted(compareUtf8),
    }))
  }

  const record = (revision: number, body: JournalRecord['body']): JournalRecord => ({
    namespace: 'n',
    revision,
    atMs: revision,
    body,
  })
  const write = (revision: number, key: string): JournalRecord =>
    record(revision, {
      kind: 'write',
      key,
      writer: null,
      writerAtS: null,
      anonymous: true,
      segment: 1,
      position: revision,
      size: revision,
      crc: revision,
    })

  test('I6: the same as commits add, and what is read twice changes nothing', () => {
    const records = [
      record(1, { kind: 'create' }),
      write(2, 'a'),
      write(3, 'b'),
      record(4, { kind: 'delete', key: 'a' }),
      record(5, { kind: 'remove' }),
      record(6, { kind: 'create' }),
      write(7, 'b'),
    ]
    const once = summary(recover(records))
    expect(once).toEqual([{ name: 'n', change: ['recreate', 6], entries: ['write b 7'] }])
    expect(summary(recover([...records, ...records]))).toEqual(once)
  })

  test('I6: a record that was carried to a newer place takes nothing back that came after it', () => {
    const later = [record(6, { kind: 'create' }), write(7, 'k'), record(8, { kind: 'delete', key: 'l' })]
    const carried = [record(5, { kind: 'remove' }), write(4, 'k'), write(4, 'l')]
    const expected = [{ name: 'n', change: ['recreate', 6], entries: ['delete l 8', 'write k 7'] }]
    expect(summary(recover([record(5, { kind: 'remove' }), ...later, ...carried]))).toEqual(expected)
  })

  test('a removal that was carried behind later writes drops only what was before it', () => {
    const backlog = recover([write(4, 'old'), write(9, 'new'), record(5, { kind: 'remove' })])
    expect(summary(backlog)).toEqual([{ name: 'n', change: ['remove', 5], entries: ['write new 9'] }])
  })

  test('knows every content that a key had, since the tree may hold any of them', () => {
    const backlog = recover([write(1, 'k'), write(2, 'k'), record(3, { kind: 'delete', key: 'k' })])
    expect(toTreeOperation(backlog.find('n', 'k')!)).toMatchObject({
      kind: 'delete',
      known: Uint32Array.of(1, 1, 2, 2),
    })
  })

  test('knows them also of a key that is written or deleted again before the tree has it', () => {
    const backlog = recover([write(1, 'k'), write(2, 'l')])
    backlog.addWrite('n', written('k', 3, where))
    backlog.addDelete('n', { key: 'l', revision: 4, atMs: 4, segment: where })
    backlog.addWrite('n', written('m', 5, where))
    const known = ['k', 'l', 'm'].map((key) => tried(backlog, key).known)
    expect(known).toEqual([Uint32Array.of(1, 1, 1, 2), Uint32Array.of(2, 2), undefined])
  })

  test('knows what a task may have left of it that was under way when it was written again', () => {
    const backlog = recover([write(1, 'k')])
    const task = () => tried(backlog, 'k')
    backlog.addWrite('n', { ...written('k', 2, where), size: 20, crc: 21 })
    for (let attempt = 0; attempt < 3; attempt++) task()
    backlog.addWrite('n', { ...written('k', 3, where), size: 30, crc: 31 })
    backlog.addDelete('n', { key: 'k', revision: 4, atMs: 4, segment: where })
    expect(task().known).toEqual(Uint32Array.of(1, 1, 20, 21))
  })

  test('knows what a key had before its namespace was removed, which the tree may still hold', () => {
    const records = [
      write(1, 'k'),
      record(2, { kind: 'remove' }),
      record(3, { kind: 'create' }),
      write(4, 'k'),
    ]
    expect(toTreeOperation(recover(records).find('n', 'k')!)).toMatchObject({
      known: Uint32Array.of(1, 1, 4, 4),
    })
  })
})
