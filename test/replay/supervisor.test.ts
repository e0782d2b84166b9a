import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Acknowledgement, FromChild, Progress } from '../../src/replay/messages.js'
import {
  supervise,
  type Supervised,
  type Supervision,
  type SupervisionProgress,
} from '../../src/replay/supervisor.js'
import { temporaryFolder } from './temporary-folder.js'

type Step = FromChild | 'wait' | 'await finish' | `exit ${number}`

const BATCHES = new Map([['x', [0, 1, 2, 3].map((commit) => ({ commit, overwrites: [] }))]])

async function superviseScript(
  runs: readonly (readonly Step[])[],
  options: Partial<Supervision> = {},
): Promise<Supervised & { readonly starts: number; readonly progress: readonly SupervisionProgress[] }> {
  const root = await temporaryFolder()
  await writeFile(join(root, 'script.json'), JSON.stringify(runs))
  const progress: SupervisionProgress[] = []
  const supervised = await supervise({
    job: { source: { trace: '', limit: null, repository: null }, root, limits: {}, inFlight: 1, threads: 0 },
    batches: BATCHES,
    kills: [],
    program: new URL('./scripted-process.mjs', import.meta.url),
    onProgress: (entry) => progress.push(entry),
    ...options,
  })
  return { ...supervised, starts: (await readFile(join(root, 'starts'), 'utf8')).length, progress }
}

function resumed(...progress: Progress[]): FromChild {
  return { type: 'resumed', progress }
}

function upTo(commit: number): Progress {
  return { namespace: 'x', commit, revision: commit + 10 }
}

function acknowledged(...commits: number[]): FromChild {
  const batches = commits.map((commit): Acknowledgement => {
    return { ...upTo(commit), operations: 2, overwrites: [], wrongConflicts: [] }
  })
  return { type: 'acknowledged', batches }
}

const END: readonly Step[] = [{ type: 'replayed', progress: [upTo(3)] }, 'await finish', { type: 'finished' }]

describe('the supervisor', () => {
  test('lets a process replay to its end', async () => {
    const { ledger, kills, failure, starts } = await superviseScript([
      [resumed(), acknowledged(0, 1), acknowledged(2, 3), ...END],
    ])
    expect({ kills, failure, starts }).toEqual({ kills: [], failure: null, starts: 1 })
    expect([ledger.acknowledged, ledger.open, ledger.losses]).toEqual([4, 0, []])
  })

  test('kills it when so many batches are acknowledged, and starts another one', async () => {
    const { ledger, kills, failure, starts, progress } = await superviseScript(
      [
        [resumed(), acknowledged(0, 1), 'wait'],
        [resumed(upTo(2)), 'wait'],
        [resumed(upTo(2)), acknowledged(3), ...END],
      ],
      {
        kills: [
          { acknowledged: 2, delayMs: 0 },
          { acknowledged: 3, delayMs: 0 },
        ],
      },
    )
    expect({ kills, failure, starts }).toEqual({ kills: [2, 3], failure: null, starts: 3 })
    expect([ledger.acknowledged, ledger.foundDurable, ledger.open, ledger.losses]).toEqual([3, 1, 0, []])
    expect(progress.filter(({ type }) => type === 'killed').map(({ settled }) => settled)).toEqual([2, 3])
  })

  test('can kill a process that has only been started', async () => {
    const kill = { acknowledged: 1, delayMs: 0 }
    // The second process may be gone before it played anything; then the third one plays its part.
    const rest: readonly Step[] = [resumed(upTo(3)), ...END]
    const { kills, failure, progress, ledger } = await superviseScript(
      [[resumed(), acknowledged(0), 'wait'], rest, rest],
      { kills: [kill, kill] },
    )
    expect([kills.length, failure, ledger.losses]).toEqual([2, null, []])
    expect(progress.filter(({ type }) => type === 'started')).toHaveLength(3)
  })

  test('notices that something acknowledged was lost (I1)', async () => {
    const { ledger, failure } = await superviseScript(
      [
        [resumed(), acknowledged(0, 1, 2), 'wait'],
        [resumed(upTo(0)), acknowledged(1, 2, 3), ...END],
      ],
      { kills: [{ acknowledged: 3, delayMs: 0 }] },
    )
    expect(failure).toBeNull()
    expect(ledger.losses.map(({ commit }) => commit)).toEqual([1, 2])
  })

  test('notices a loss without any kill, when the process says at the end what is durable', async () => {
    const { ledger } = await superviseScript([
      [
        resumed(),
        acknowledged(0, 1, 2, 3),
        { type: 'replayed', progress: [upTo(1)] },
        'await finish',
        { type: 'finished' },
      ],
    ])
    expect(ledger.losses.map(({ commit }) => commit)).toEqual([2, 3])
  })

  test('does fewer kills when the end came before them', async () => {
    const { kills, failure } = await superviseScript([[resumed(), acknowledged(0, 1, 2, 3), ...END]], {
      kills: [{ acknowledged: 5, delayMs: 0 }],
    })
    expect([kills, failure]).toEqual([[], null])
  })

  test('lets nothing be cleaned up while a kill is under way', async () => {
    const { kills, failure, starts } = await superviseScript(
      [
        [resumed(), acknowledged(0, 1, 2, 3), ...END],
        [resumed(upTo(3)), ...END],
      ],
      { kills: [{ acknowledged: 1, delayMs: 300 }] },
    )
    expect([kills, failure, starts]).toEqual([[4], null, 2])
  })

  test.each<[string, readonly Step[], RegExp]>([
    ['fails', [resumed(), { type: 'failed', message: 'no space' }, 'exit 1'], /^no space$/],
    ['ends by itself', [resumed(), acknowledged(0), 'exit 4'], /ended by itself \(4\)/],
    ['ends well before it is finished', [resumed(), acknowledged(0), 'exit 0'], /ended by itself \(0\)/],
  ])('gives up when the process %s', async (_, run, message) => {
    const { failure, ledger, starts } = await superviseScript([run])
    expect(failure).toMatch(message)
    expect([starts, ledger.open > 0]).toEqual([1, true])
  })

  test('ends with the process when it is interrupted, before and during the run', async () => {
    const abort = new AbortController()
    const during = superviseScript([[resumed(), acknowledged(0), 'wait']], {
      signal: abort.signal,
      onProgress: ({ type }) => {
        if (type === 'acknowledged') abort.abort()
      },
    })
    expect((await during).failure).toBe('the replay was interrupted')
    const before = supervise({
      job: {
        source: { trace: '', limit: null, repository: null },
        root: '',
        limits: {},
        inFlight: 1,
        threads: 0,
      },
      batches: BATCHES,
      kills: [],
      program: new URL('./scripted-process.mjs', import.meta.url),
      signal: abort.signal,
    })
    expect((await before).failure).toBe('the replay was interrupted')
  })
})
