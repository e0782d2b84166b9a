import { describe, expect, test } from 'vitest'
import { Backlog } from '../../../src/backend/file/backlog.js'
import { readJournal } from '../../../src/backend/file/recovery.js'
import { FIRST_SEGMENT_BYTES, SEGMENT_BYTES } from '../../../src/backend/file/segment.js'
import type { JournalPosition, JournalRecord, ScanJournalAnswer } from '../../../src/backend/file/tasks.js'
import { failureOf, refusal } from '../../../src/contract/observe.js'
import { START, STORE_ID } from './journal-builder.js'
import { ScriptedRunner } from './scripted-runner.js'

function position(sequence: number): JournalPosition {
  return { ...START, sequence }
}

function write(key: string, revision: number, segment: number): JournalRecord {
  const common = { writer: null, writerAtS: null, anonymous: true, position: revision, size: 1, crc: 1 }
  return { namespace: 'n', revision, atMs: 1, body: { kind: 'write', key, segment, ...common } }
}

/** Answers windows in turn; each has to be asked for from where the last one ended. */
function windows(answers: readonly ScanJournalAnswer[]): ScriptedRunner {
  const runner = new ScriptedRunner()
  let from = START
  let next = 0
  runner.script = (task) => {
    expect(task).toMatchObject({ kind: 'scan-journal', directory: '/journal', storeId: STORE_ID, from })
    const answer = answers[next++]!
    from = answer.next
    return answer
  }
  return runner
}

const window = (
  records: readonly JournalRecord[],
  sequence: number,
  end: ScanJournalAnswer['end'] = 'more',
): ScanJournalAnswer => ({
  records,
  recordCount: records.length,
  next: position(sequence),
  lastFrame: null,
  end,
  segmentBytes: end === 'more' ? 0 : SEGMENT_BYTES,
  corruptAt: null,
})

function read(runner: ScriptedRunner, backlog: Backlog, reached = 1) {
  return readJournal(runner, '/journal', STORE_ID, { position: START, reached }, backlog)
}

describe('reading the journal', () => {
  test('goes on window by window until the end, torn or not', async () => {
    for (const end of ['clean', 'torn'] as const) {
      const backlog = new Backlog(() => 0)
      const runner = windows([
        window([write('a', 1, 1), write('b', 2, 1)], 5),
        window([write('a', 3, 2)], 6),
        window([], 6, end),
      ])
      expect(await read(runner, backlog)).toEqual({ operations: 3, end: position(6), lastFrame: null })
      expect([backlog.find('n', 'a')!.revision, backlog.count]).toEqual([3, 2])
    }
  })

  test('records of one segment share it, with its path', async () => {
    const backlog = new Backlog(() => 0)
    const records = [
      write('a', 1, 1),
      write('b', 2, 1),
      write('c', 3, 17),
      { namespace: 'n', revision: 4, atMs: 1, body: { kind: 'delete', key: 'd' } } as const,
    ]
    await read(windows([window(records, 2, 'clean')]), backlog)
    const [a, b, c] = ['a', 'b', 'c'].map((key) => backlog.find('n', key)!.segment)
    expect(a).toBe(b)
    expect([a!.path, c!.path]).toEqual(['/journal/0000000000000001', '/journal/0000000000000011'])
    expect([a!.holders, c!.holders]).toEqual([2, 1])
  })

  test('I1: damage is named with its place', async () => {
    const corrupt: ScanJournalAnswer = {
      ...window([], 5, 'corrupt'),
      corruptAt: { path: '/journal/1', offset: 4096 },
    }
    const runner = windows([window([write('a', 1, 1)], 5), corrupt])
    const error = await refusal('JOURNAL_CORRUPT', () => read(runner, new Backlog(() => 0)))
    expect(error).toMatchObject({ path: '/journal/1', offset: 4096, outcome: 'unchanged' })
  })

  test('I1: a journal that ends before a frame that a checkpoint knew of has lost it', async () => {
    for (const end of ['clean', 'torn'] as const) {
      const answers = [window([write('a', 1, 1)], 5), window([], 5, end)]
      await read(windows(answers), new Backlog(() => 0), 5)
      const error = await refusal('JOURNAL_CORRUPT', () => read(windows(answers), new Backlog(() => 0), 6))
      expect(error).toMatchObject({ path: '/journal/0000000000000001', offset: 0, outcome: 'unchanged' })
    }
  })

  test('I1: a segment that is shorter than it was prepared has lost what was at its end', async () => {
    const ended = (segmentBytes: number, offset: number): ScriptedRunner =>
      windows([{ ...window([], 1, 'clean'), next: { ...START, offset }, segmentBytes }])
    for (const bytes of [FIRST_SEGMENT_BYTES, SEGMENT_BYTES, SEGMENT_BYTES + 4096]) {
      await read(ended(bytes, 4096), new Backlog(() => 0))
    }
    for (const [bytes, offset] of [
      [0, 0],
      [4096, 8192],
      [FIRST_SEGMENT_BYTES - 4096, 4096],
      [FIRST_SEGMENT_BYTES + 4096, 4096],
      [SEGMENT_BYTES - 1, 4096],
      [SEGMENT_BYTES + 1, 4096],
    ] as const) {
      const error = await refusal('JOURNAL_CORRUPT', () => read(ended(bytes, offset), new Backlog(() => 0)))
      expect(error.offset).toBe(Math.min(bytes, offset))
    }
  })

  test('what the worker can not read fails the opening', async () => {
    const runner = new ScriptedRunner()
    const reading = failureOf(() => read(runner, new Backlog(() => 0)))
    runner.next('scan-journal').fail(new Error('EIO'))
    expect(await reading).toMatchObject({ message: 'EIO' })
  })
})
