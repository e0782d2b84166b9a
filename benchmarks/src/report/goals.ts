/** What is to be reached, beside what was. */
import { CONTESTANTS } from '../contestants/index.js'
import { medianOf, resultsName, type CellResult, type Results } from '../harness/results.js'
import type { Parameters } from '../harness/scenario.js'
import { fits } from '../scenarios/common.js'
import { BACKLOG_MIB_MAX } from '../scenarios/sustained.js'
import { formatNumber } from './numbers.js'
import { markdownTable } from './tables.js'

/** Contestants by what they are to us; of the others each is alone. */
const FLOORS: readonly string[] = CONTESTANTS.map(({ name }) => name).filter((name) =>
  name.startsWith('floor'),
)
const BARE_FILES: readonly string[] = ['bare files', 'bare files in one thread']
const NO_RIVALS: readonly string[] = ['agent-state', ...FLOORS, ...BARE_FILES, 'origin']

/** The fastest cell of a contestant, of all rivals (`rival`) or of all floors (`floor`), if it was run. */
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
  const goals = [...burstGoals(find), ...sustainedGoals(find), ...otherGoals(find)]
  if (goals.every(({ reached }) => reached === null)) return ''
  const rows = goals.map(({ what, goal, reached, isReached }) => [
    what,
    goal,
    reached ?? 'not measured',
    isReached ? 'yes' : 'no',
  ])
  return markdownTable(['what', 'at least', 'measured', 'reached'], rows)
}

function finder(all: readonly Results[]): Find {
  return (scenario, contestant, where, measure = 'perSecond') => {
    const results = all.find((one) => resultsName(one.scenario, one.flushDelayMs) === scenario)
    const found = (results?.cells ?? [])
      .filter((cell) => isMeant(contestant, cell.contestant))
      .filter((cell) => fits(cell.parameters, where) && medianOf(cell, measure) !== null)
    return found.toSorted((a, b) => medianOf(b, measure)! - medianOf(a, measure)!)[0] ?? null
  }
}

function isMeant(question: string, contestant: string): boolean {
  if (question === 'rival') return !NO_RIVALS.includes(contestant)
  return question === 'floor' ? FLOORS.includes(contestant) : question === contestant
}

const SIZES = [256, 4096].flatMap((valueBytes) => [64, 256].map((callers) => ({ valueBytes, callers })))

function burstGoals(find: Find): Goal[] {
  return ['distinct', 'hot-set'].flatMap((scenario) => {
    const kind = scenario === 'distinct' ? 'burst, distinct keys' : 'burst, hot set'
    const name = (where: Parameters): string =>
      `${kind}, ${where['valueBytes']} B, ${where['callers']} callers`
    return [
      ...SIZES.filter(({ valueBytes }) => scenario === 'distinct' && valueBytes === 256).map((where) =>
        ratio(name(where), find, [scenario, 'agent-state', where], [scenario, 'origin', where], 100),
      ),
      ...SIZES.map((where) =>
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

/** What was put off counts. */
function sustainedGoals(find: Find): Goal[] {
  const distinct = { keys: 'distinct', callers: 256, valueBytes: 256 }
  const memory = find('sustained', 'agent-state', distinct, 'memoryMiB')
  return [
    ...SIZES.map(({ valueBytes, callers }) => {
      const where = { keys: 'hot set', valueBytes, callers }
      return ratio(
        `one minute, hot set, ${valueBytes} B, ${callers} callers`,
        find,
        ['sustained', 'agent-state', where, 'perSecondWithDrain'],
        ['sustained', 'rival', where, 'perSecondWithDrain'],
        1.5,
      )
    }),
    ratio(
      'one minute, distinct keys, 256 B, 256 callers',
      find,
      ['sustained', 'agent-state', distinct, 'perSecondWithDrain'],
      ['sustained', 'bare files', distinct, 'perSecondWithDrain'],
      0.8,
    ),
    bound(
      `memory in that minute (backlog bound ${BACKLOG_MIB_MAX} MiB), MB`,
      megabytes(memory),
      'below 400',
      (megabytes) => megabytes < 400,
    ),
  ]
}

function megabytes(cell: CellResult | null): number | null {
  return cell === null ? null : (medianOf(cell, 'memoryMiB')! * 2 ** 20) / 1e6
}

function otherGoals(find: Find): Goal[] {
  const reads = find('reads', 'agent-state', { kind: 'hot' })
  const open = find('opening', 'agent-state', { kind: 'clean', keys: 100_000 }, 'openMs')
  return [
    ratio(
      '1,000 namespaces against 8',
      find,
      ['namespaces', 'agent-state', { namespaces: 1000 }],
      ['namespaces', 'agent-state', { namespaces: 8 }],
      0.8,
    ),
    bound(
      'hot reads a second',
      reads === null ? null : medianOf(reads, 'perSecond'),
      '500,000',
      (rate) => rate >= 500_000,
    ),
    ratio(
      'reads from the files, checksum verified',
      find,
      ['reads', 'agent-state', { kind: 'cold' }],
      ['reads', 'bare files in one thread', { kind: 'cold' }],
      0.7,
    ),
    ratio(
      '4 threads of 64 callers against the same callers in the store’s thread',
      find,
      ['threads', 'agent-state', { threads: 4, where: 'in threads' }],
      ['threads', 'agent-state', { threads: 4, where: 'in the store’s thread' }],
      0.5,
    ),
    bound(
      'open of 100,000 keys, ms',
      open === null ? null : medianOf(open, 'openMs'),
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
  value: number | null,
  goal: string,
  isReached: (value: number) => boolean,
): Goal {
  if (value === null) return { what, goal, reached: null, isReached: false }
  return { what, goal, reached: formatNumber(value), isReached: isReached(value) }
}
