/** What is to be reached, beside what was. */
import { medianOf, resultsName, type CellResult, type Results } from '../harness/results.js'
import type { Parameters } from '../harness/scenario.js'
import { fits } from '../scenarios/common.js'
import { formatNumber } from './numbers.js'
import { markdownTable } from './tables.js'

/** What is no rival: this library, the floors, and the baseline. */
const NO_RIVALS = new Set(['agent-state', 'floor', 'bare files', 'origin'])

/** The fastest cell of a contestant, or of all rivals (`rival`), if it was run. */
type Find = (scenario: string, contestant: string, where: Parameters, measure?: string) => CellResult | null

interface Goal {
  readonly what: string
  readonly goal: string
  /** Null where it was not measured. */
  readonly reached: string | null
  readonly isReached: boolean
}

export function goalsTable(all: readonly Results[]): string {
  const find = finder(all)
  const goals = [...throughputGoals(find), ...otherGoals(find)].filter(({ reached }) => reached !== null)
  if (goals.length === 0) return ''
  const rows = goals.map(({ what, goal, reached, isReached }) => [
    what,
    goal,
    reached!,
    isReached ? 'yes' : 'no',
  ])
  return markdownTable(['what', 'at least', 'measured', 'reached'], rows)
}

function finder(all: readonly Results[]): Find {
  return (scenario, contestant, where, measure = 'perSecond') => {
    const results = all.find((one) => resultsName(one.scenario, one.flushDelayMs) === scenario)
    const found = (results?.cells ?? [])
      .filter((cell) =>
        contestant === 'rival' ? !NO_RIVALS.has(cell.contestant) : cell.contestant === contestant,
      )
      .filter((cell) => fits(cell.parameters, where) && medianOf(cell, measure) !== null)
    return found.toSorted((a, b) => medianOf(b, measure)! - medianOf(a, measure)!)[0] ?? null
  }
}

function throughputGoals(find: Find): Goal[] {
  const sizes = [256, 4096].flatMap((valueBytes) => [64, 256].map((callers) => ({ valueBytes, callers })))
  return ['distinct', 'hot-set'].flatMap((scenario) => {
    const kind = scenario === 'distinct' ? 'burst, distinct keys' : 'hot set'
    const name = (where: Parameters): string =>
      `${kind}, ${where['valueBytes']} B, ${where['callers']} callers`
    return [
      ...sizes
        .filter(({ valueBytes }) => scenario === 'distinct' && valueBytes === 256)
        .map((where) =>
          ratio(name(where), find, [scenario, 'agent-state', where], [scenario, 'origin', where], 100),
        ),
      ...sizes.map((where) =>
        ratio(name(where), find, [scenario, 'agent-state', where], [scenario, 'rival', where], 1.5),
      ),
      ratio(
        name({ valueBytes: 256, callers: 256 }),
        find,
        [scenario, 'agent-state', { valueBytes: 256, callers: 256 }],
        [scenario, 'floor', { valueBytes: 256, callers: 256 }],
        0.5,
      ),
      ratio(
        name({ valueBytes: 256, callers: 1 }),
        find,
        [scenario, 'agent-state', { valueBytes: 256, callers: 1 }],
        [scenario, 'sqlite', { valueBytes: 256, callers: 1 }],
        1,
      ),
    ]
  })
}

function otherGoals(find: Find): Goal[] {
  const sustained = (keys: string): Parameters => ({ keys, callers: 256 })
  return [
    ratio(
      'one minute, hot set, with drain, 256 callers',
      find,
      ['sustained', 'agent-state', sustained('hot set'), 'perSecondWithDrain'],
      ['sustained', 'rival', sustained('hot set'), 'perSecondWithDrain'],
      1.5,
    ),
    ratio(
      'one minute, distinct keys, with drain, 256 callers',
      find,
      ['sustained', 'agent-state', sustained('distinct'), 'perSecondWithDrain'],
      ['sustained', 'bare files', sustained('distinct'), 'perSecondWithDrain'],
      0.8,
    ),
    bound(
      'memory in that minute, MiB',
      find('sustained', 'agent-state', sustained('distinct'), 'memoryMiB'),
      'memoryMiB',
      'below 400',
      (mib) => mib < 400,
    ),
    ratio(
      '1,000 namespaces against 8',
      find,
      ['namespaces', 'agent-state', { namespaces: 1000 }],
      ['namespaces', 'agent-state', { namespaces: 8 }],
      0.8,
    ),
    bound(
      'hot reads a second',
      find('reads', 'agent-state', { kind: 'hot' }),
      'perSecond',
      '500,000',
      (rate) => rate >= 500_000,
    ),
    ratio(
      'reads from the files, checksum verified',
      find,
      ['reads', 'agent-state', { kind: 'cold' }],
      ['reads', 'bare files', { kind: 'cold' }],
      0.7,
    ),
    bound(
      'open of 100,000 keys, ms',
      find('opening', 'agent-state', { kind: 'clean', keys: 100_000 }, 'openMs'),
      'openMs',
      'below 100',
      (ms) => ms < 100,
    ),
  ]
}

function ratio(what: string, find: Find, ours: Question, theirs: Question, goal: number): Goal {
  const [mine, other] = [find(...ours), find(...theirs)]
  const measure = ours[3] ?? 'perSecond'
  const name = `${goal} × ${theirs[1] === 'rival' ? 'the fastest rival' : theirs[1]}`
  if (mine === null || other === null) return { what, goal: name, reached: null, isReached: false }
  const [a, b] = [medianOf(mine, measure)!, medianOf(other, measure)!]
  const reached = `${formatNumber(a / b)} × (${formatNumber(a)} against ${formatNumber(b)} of ${other.contestant})`
  return { what, goal: name, reached, isReached: a / b >= goal }
}

/** The arguments of `Find`. */
type Question = readonly [scenario: string, contestant: string, where: Parameters, measure?: string]

function bound(
  what: string,
  cell: CellResult | null,
  measure: string,
  goal: string,
  isReached: (value: number) => boolean,
): Goal {
  const value = cell === null ? null : medianOf(cell, measure)
  if (value === null) return { what, goal, reached: null, isReached: false }
  return { what, goal, reached: formatNumber(value), isReached: isReached(value) }
}
