import { describe, expect, test } from 'vitest'
import { formatReport } from '../../src/replay/format-report.js'
import { Ledger } from '../../src/replay/ledger.js'
import type { Overwrite } from '../../src/replay/messages.js'
import { readOutline } from '../../src/replay/outline.js'
import { makePlan } from '../../src/replay/plan.js'
import { makeReport, pairAuthors, type Report, type ReportInput } from '../../src/replay/report.js'
import { commit, inOrder } from './histories.js'

const COMMITS = [commit(0, [], 0, { 'x/a': 1, b: 2 }), commit(1, [0], 1, { 'x/a': null, 'x/c': 3 })]

interface Given {
  readonly lie?: boolean
  readonly open?: boolean
  readonly wrong?: string
  readonly overwrites?: readonly Overwrite[]
  readonly input?: Partial<ReportInput>
}

async function report({ lie, open, wrong, overwrites, input }: Given = {}): Promise<Report> {
  const outline = await readOutline(inOrder(COMMITS))
  const plan = await makePlan(outline, inOrder(COMMITS))
  const ledger = new Ledger(plan.batches)
  const wrongConflicts = wrong === undefined ? [] : [wrong]
  const base = { operations: 2, overwrites: overwrites ?? [], wrongConflicts }
  ledger.acknowledge({ namespace: 'x', commit: 0, revision: 1, ...base, operations: 1 })
  ledger.acknowledge({ namespace: '%root', commit: 0, revision: 2, ...base, operations: 1, overwrites: [] })
  if (open !== true) ledger.acknowledge({ namespace: 'x', commit: 1, revision: 3, ...base, overwrites: [] })
  if (lie === true) ledger.compare([{ namespace: 'x', commit: 1, revision: 3 }])
  return makeReport({
    source: 'here',
    root: '/somewhere',
    seed: 7,
    outline,
    plan,
    skipped: [],
    supervised: { ledger, kills: [1, 2], failure: null },
    threads: 2,
    seconds: 2,
    verification: { files: 2, bytes: 20, differences: [] },
    ...input,
  })
}

describe('the report', () => {
  test('counts what was planned and what was acknowledged', async () => {
    expect(await report()).toMatchObject({
      ok: true,
      history: { source: 'here', commits: 2, merges: 0, authors: 2, namespaces: 2 },
      planned: { batches: 3, writes: 3, deletes: 1, bytes: 30 },
      writesPerSecond: 2,
      kills: [1, 2],
      acknowledged: { batches: 3, foundDurable: 0, lost: 0, problems: [], filesCompared: 0 },
      failure: null,
    })
  })

  const failed = { supervised: { ledger: new Ledger(new Map()), kills: [], failure: 'it broke' } }
  test.each<[string, Given, string]>([
    ['something was lost', { lie: true }, 'commit 0 in %root was acknowledged and is lost'],
    ['something was not acknowledged', { open: true }, 'NOT VERIFIED; see /somewhere'],
    ['a conflict was wrong', { wrong: 'x/a: what' }, 'x/a: what'],
    [
      'a file differs',
      { input: { verification: { files: 1, bytes: 9, differences: ['x/c is missing'] } } },
      'x/c is missing',
    ],
    ['it failed', { input: failed }, 'it broke'],
    ['nothing was verified', { input: { verification: null } }, 'not done'],
  ])('is not well when %s, and says so', async (_, given, text) => {
    const made = await report(given)
    expect(made.ok).toBe(false)
    expect(formatReport(made)).toContain(text)
    expect(formatReport(made)).toContain('NOT VERIFIED')
    expect(formatReport(made)).not.toContain('all verified')
  })

  test('names the pairs of authors and what they overwrote', async () => {
    const overwrites = [
      { namespace: 'x', key: 'a', by: 'b', over: 'a' },
      { namespace: 'x', key: 'b', by: 'a', over: 'b' },
      { namespace: 'x', key: 'a', by: 'a', over: 'b' },
    ]
    const text = formatReport(await report({ overwrites }))
    expect(text).toContain('3 changes of a file')
    expect(text).toContain('a over b 2 (and back 1): x/a, x/b')
    expect(text).toContain('all verified')
  })

  test('shows no control characters of names', async () => {
    const overwrites = [{ namespace: 'x', key: 'a\u001b[31m', by: 'b\u0007', over: 'a\u202e' }]
    const text = formatReport(await report({ overwrites, input: { skipped: ['p\u0085'] } }))
    for (const character of ['\u0007', '\u001b', '\u0085', '\u202e']) expect(text).not.toContain(character)
    expect(text).toContain('x/a\\u{1b}[31m')
  })
})

describe('pairs of authors', () => {
  test('are counted whoever of the two it was, those with most first', () => {
    const pairs = pairAuthors([
      { namespace: 'x', key: 'a', by: 'c', over: 'd' },
      { namespace: 'x', key: 'a', by: 'b', over: 'a' },
      { namespace: 'y', key: 'b', by: 'a', over: 'b' },
      { namespace: 'y', key: 'b', by: 'a', over: 'b' },
      { namespace: 'y', key: 'b', by: 'a', over: null },
    ])
    expect(pairs).toEqual([
      { authors: ['a', 'b'], overwrites: 3, byFirst: 2, keys: ['x/a', 'y/b'] },
      { authors: ['c', 'd'], overwrites: 1, byFirst: 1, keys: ['x/a'] },
      { authors: ['(deleted)', 'a'], overwrites: 1, byFirst: 0, keys: ['y/b'] },
    ])
  })
})
