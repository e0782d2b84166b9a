import { describe, expect, test } from 'vitest'
import { GroupCommit } from '../../benchmarks/src/contestants/group-commit.js'
import { pack, unpack } from '../../benchmarks/src/contestants/packed.js'
import { randomNumbers, shuffled } from '../../benchmarks/src/harness/random.js'
import {
  collectRuns,
  rounded,
  spreadOf,
  type CellResult,
  type Results,
} from '../../benchmarks/src/harness/results.js'
import type { Parameters, Scenario } from '../../benchmarks/src/harness/scenario.js'
import { goalsTable } from '../../benchmarks/src/report/goals.js'
import { formatNumber } from '../../benchmarks/src/report/numbers.js'
import { resultTable } from '../../benchmarks/src/report/tables.js'
import { bestBatches } from '../../benchmarks/src/scenarios/batches.js'
import { countFlushes } from '../../benchmarks/src/scenarios/flushes.js'

function cell(contestant: string, parameters: Parameters, runs: CellResult['runs']): CellResult {
  return { contestant, parameters, runs }
}

function results(scenario: string, cells: readonly CellResult[]): Results {
  const latency = { p50Us: 1, p99Us: 1, p999Us: 1, maxUs: 1 }
  return {
    ...{
      scenario,
      question: '',
      workload: '',
      durability: '',
      flushDelayMs: 0,
      profile: 'full',
      repetitions: 3,
    },
    ...{
      commit: '',
      startedAt: '',
      endedAt: '',
      isComplete: true,
      seed: 1,
      contestants: {},
      cells,
      failures: [],
    },
    machine: {
      ...{ cpu: '', cores: 2, memoryGiB: 1, node: '', platform: '', virtualization: '', fileSystem: 'ext4' },
      ...{
        fileSystemOptions: '',
        fileSystemJournal: '',
        device: '',
        deviceKind: '',
        writeCache: '',
        flush: latency,
      },
    },
  }
}

describe('numbers of the report', () => {
  test('are the median with the least and the most', () => {
    expect(spreadOf([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9 })
    expect(spreadOf([5, 1, 9, 7])).toEqual({ median: 6, min: 1, max: 9 })
    expect(spreadOf([])).toBeNull()
    expect(spreadOf(undefined)).toBeNull()
  })

  test('leave out what a machine can not tell', () => {
    const runs = [{ measures: { a: 1, b: Number.NaN } }, { measures: { a: 2, b: Number.NaN } }]
    expect(collectRuns(runs)).toEqual({ a: [1, 2] })
  })

  test('keep whole numbers whole, and four digits of others', () => {
    expect([rounded(123_456.7), rounded(0.012345), rounded(0), rounded(1.00004)]).toEqual([
      123_457, 0.01235, 0, 1,
    ])
    expect([1_234_567, 12.345, 0, 999.9].map(formatNumber)).toEqual(['1,230,000', '12.3', '0', '1,000'])
  })
})

describe('the tables', () => {
  test('show every contestant in its order, faster or slower, and only what differs', () => {
    const scenario = { columns: [{ measure: 'perSecond', title: 'writes/s' }] } as unknown as Scenario
    const cells = [
      cell('agent-state', { callers: 64, valueBytes: 256 }, { perSecond: [100, 300, 200] }),
      cell('agent-state', { callers: 1, valueBytes: 256 }, { perSecond: [10, 10, 10] }),
      cell('lmdb batched', { callers: 64, valueBytes: 256, batch: 16 }, { perSecond: [900] }),
    ]
    expect(resultTable(scenario, results('x', cells)).split('\n')).toEqual([
      '|  | callers | writes/s |',
      '| --- | --: | --: |',
      '| agent-state | 1 | 10 |',
      '| agent-state | 64 | 200 (100–300) |',
      '| lmdb batched (≤ 16) | 64 | 900 |',
    ])
  })

  test('say of a goal that it is not reached, and which rival is the fastest one', () => {
    const where = { callers: 64, valueBytes: 256 }
    const cells = [
      cell('agent-state', where, { perSecond: [1000] }),
      cell('floor', where, { perSecond: [9000] }),
      cell('lmdb batched', where, { perSecond: [800] }),
      cell('sqlite batched', where, { perSecond: [2000] }),
      cell('origin', where, { perSecond: [5] }),
    ]
    const table = goalsTable([results('distinct', cells)])
    expect(table).toContain('100 × origin | 200 × (1,000 against 5 of origin) | yes')
    expect(table).toContain('1.5 × the fastest rival | 0.5 × (1,000 against 2,000 of sqlite batched) | no')
    expect(table).toContain('| burst, distinct keys, 256 B, 256 callers | 0.5 × floor | not measured | no |')
    expect(goalsTable([])).toBe('')
  })
})

describe('the harness', () => {
  test('shuffles the same way for a seed, and loses nothing', () => {
    const items = Array.from({ length: 50 }, (_, index) => index)
    const once = shuffled(items, randomNumbers(7))
    expect(once).toEqual(shuffled(items, randomNumbers(7)))
    expect(once).not.toEqual(items)
    expect(once.toSorted((a, b) => a - b)).toEqual(items)
  })

  test('takes the group size that was the fastest one, and a group of all callers where flushes are slow', () => {
    const where = { callers: 64, valueBytes: 256 }
    const cells = [16, 32, 64].map((batch) =>
      cell('level batched', { ...where, batch }, { perSecond: [batch === 16 ? 9 : 5] }),
    )
    const known = results('batches', cells)
    expect(bestBatches(known, 0)('level batched', { callers: 256, valueBytes: 256 })).toBe(64)
    expect(bestBatches(known, 0)('level batched', { callers: 1, valueBytes: 256 })).toBe(1)
    expect(bestBatches(known, 5)('level batched', where)).toBe(64)
    expect(bestBatches(null, 0)('level batched', where)).toBe(64)
  })

  test('commits in groups, one at a time, in order, and tells everybody in a failed group', async () => {
    const groups: number[][] = []
    let running = 0
    const commits = new GroupCommit<number>(3, async (items) => {
      expect(++running).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      groups.push([...items])
      if (items.includes(4)) throw new Error('broken')
    })
    const settled = await Promise.allSettled([0, 1, 2, 3, 4, 5, 6].map((item) => commits.add(item)))
    expect(groups).toEqual([[0, 1, 2], [3, 4, 5], [6]])
    expect(settled.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      true,
    ])
  })

  test('counts the flushes of a trace: syncs, and writes to what was opened to be synced', () => {
    const trace = [
      '10 openat(AT_FDCWD</x>, "/x/data", O_RDWR|O_CLOEXEC) = 5</x/data>',
      '10 openat(AT_FDCWD</x>, "/x/data", O_WRONLY|O_DSYNC|O_CLOEXEC) = 6</x/data>',
      '10 pwrite64(5</x/data>, ""..., 10, 0) = 10',
      '10 pwrite64(6</x/data>, ""..., 10, 0) = 10',
      '11 fdatasync(5</x/data> <unfinished ...>',
      '11 <... fdatasync resumed>) = 0',
      '11 msync(0x7f, 4096, MS_ASYNC) = 0',
      '11 msync(0x7f, 4096, MS_SYNC) = 0',
      '11 fsync(7</x>) = 0',
    ]
    expect(countFlushes(trace.join('\n'))).toBe(4)
  })
})

test('what is packed takes no more memory along than its own, and comes back the same', () => {
  const pool = Buffer.from('..firstsecond..')
  const contents = [pool.subarray(2, 7), null, pool.subarray(7, 13), new Uint8Array(0)]
  const packed = pack(contents)
  expect(packed.bytes.buffer.byteLength).toBe(11)
  const found = unpack(packed).map((content) => (content === null ? null : Buffer.from(content).toString()))
  expect(found).toEqual(['first', null, 'second', ''])
})
