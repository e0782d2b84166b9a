/**
 * Worker threads die: at any call of any task, once or again and again. What is promised: each request is answered, nothing
 * acknowledged is lost, no descriptor stays open, and the store goes on when threads live again (I1, I8, I9, I11). Also
 * when none can be made at all, because the process has no descriptors left, or a thread ran out of memory.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openStore, type Store } from 'agent-state'
import { onTestFinished, describe, expect, test } from 'vitest'
import { collect, failureOf, refusal } from '../../src/contract/observe.js'
import { temporaryDirectory } from '../damage/support/temporary-directory.js'
import { tortureSettings } from './support/settings.js'

const isLong = tortureSettings().isLong
const workerUrl = new URL('support/threads/dying-worker-entry.cjs', import.meta.url)
const program = (name: string): string => fileURLToPath(new URL(`support/threads/${name}`, import.meta.url))

/** As often as a task is tried. */
const ATTEMPTS = 3
const FOR_EVER = 1_000_000

/** More than a task of three operations makes: then the thread dies at its end. */
const CALLS_OF_A_TASK = 80

type Way = 'exit' | 'abort'

interface Deaths {
  /** From here on threads die in tasks of this kind: at a call of the disk, 1 is the first. */
  begin(kind: string, deaths: number, call?: number, way?: Way): void
  /** Returns how many there were. */
  end(): number
}

interface Given {
  readonly root: string
  readonly deaths: Deaths
  open(): Promise<Store>
}

function given(): Given {
  const directory = temporaryDirectory()
  const root = `${directory}/root`
  const plan = `${directory}/deaths.json`
  process.env['AGENT_STATE_TEST_DEATHS'] = plan
  let plans = 0
  const diedFile = (): string => `${directory}/died-${plans}`
  const deaths: Deaths = {
    begin(kind, count, call = FOR_EVER, way = 'exit') {
      plans++
      writeFileSync(plan, JSON.stringify({ kind, deaths: count, call, way, diedFile: diedFile() }))
    },
    end() {
      rmSync(plan)
      return statSync(diedFile(), { throwIfNoEntry: false })?.size ?? 0
    },
  }
  return {
    root,
    deaths,
    async open() {
      const store = await openStore({ root, workerUrl, limits: { spaceWaitMs: 1 } })
      onTestFinished(() => store.close({ flush: false }).catch(() => {}))
      return store
    },
  }
}

/** A root with something in it. */
async function filled(): Promise<Given> {
  const made = given()
  const store = await made.open()
  const session = await store.init('agent', { writer: { writerId: 'ann' } })
  await session.batch([
    { write: 'a', value: 'one' },
    { write: 'b/c', value: 'two' },
  ])
  await store.close()
  return made
}

/** As if the process had been killed: the lock goes with it in the end, what it left is what it left. */
async function abandoned(made: Given): Promise<void> {
  const store = await made.open()
  const session = await store.resume('agent')
  made.deaths.begin('materialize', FOR_EVER)
  await session.write('a', 'three')
  await store.close({ flush: false }).catch(() => {})
  made.deaths.end()
}

/** Files of the root that this process has open. */
function openFiles(root: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        // The one that the directory was listed with.
        return ''
      }
    })
    .filter((path) => path.startsWith(root))
    .sort()
}

/** What is asked for, when threads die in tasks of one kind; how it is refused when they always do. */
const READING = [
  {
    kind: 'list-namespaces',
    ask: (store: Store) => collect(store.namespaces()),
    answer: ['agent'],
  },
  {
    kind: 'scan-namespace',
    ask: async (store: Store) => (await store.resume('agent')).list(),
    answer: ['a', 'b/c'],
  },
  {
    kind: 'read',
    ask: async (store: Store) => (await store.resume('agent')).read('a'),
    answer: 'one',
  },
  {
    kind: 'heads',
    ask: async (store: Store) => (await (await store.resume('agent')).stat('a'))?.writer,
    answer: { writerId: 'ann' },
  },
] as const

describe.each(READING)('a thread that dies in $kind', ({ kind, ask, answer }) => {
  test('once: nobody notices', async () => {
    const made = await filled()
    for (const [call, way] of [
      [1, 'exit'],
      [2, 'abort'],
      [FOR_EVER, 'exit'],
    ] as const) {
      const store = await made.open()
      made.deaths.begin(kind, 1, call, way)
      expect(await ask(store)).toEqual(answer)
      expect(made.deaths.end()).toBe(1)
      await store.close()
    }
  })

  test('always: the read fails, is no news of what is there, and succeeds when threads live again (I8, I11)', async () => {
    const made = await filled()
    const store = await made.open()
    made.deaths.begin(kind, FOR_EVER)
    const answers = await Promise.all(Array.from({ length: 5 }, () => failureOf(() => ask(store))))
    for (const error of answers)
      expect(error).toMatchObject({ code: 'READ_FAILED', outcome: 'unchanged', retryable: true })
    expect(made.deaths.end()).toBeGreaterThanOrEqual(ATTEMPTS)
    expect(await ask(store)).toEqual(answer)
    const session = await store.resume('agent')
    await session.write('a', 'four')
    expect(await session.read('a')).toBe('four')
    await store.close()
  })
})

test('a write whose key can not be looked up is refused unchanged, and the next one is not (I8)', async () => {
  const made = await filled()
  const store = await made.open()
  const session = await store.resume('agent')
  made.deaths.begin('heads', FOR_EVER)
  const error = await refusal('READ_FAILED', () => session.write('a', 'refused'))
  expect(error.outcome).toBe('unchanged')
  made.deaths.end()
  expect(await session.read('a')).toBe('one')
  await session.write('a', 'taken')
  await store.close()
  expect(readFileSync(`${made.root}/agent/a`, 'utf8')).toBe('taken')
})

describe('a thread that dies while it writes the tree', () => {
  test('at any of its calls: another one does it again, and no descriptor stays open (I1, I9)', async () => {
    const made = await filled()
    const store = await made.open()
    const session = await store.resume('agent')
    await session.write('warm', 'up', { durability: 'tree' })
    const before = openFiles(made.root)
    const step = isLong ? 1 : 5
    let call = 1
    for (let round = 0; ; round++, call += step) {
      made.deaths.begin('materialize', 1, call, round % 2 === 0 ? 'exit' : 'abort')
      const operations = [
        { write: 'a', value: `round ${round}` },
        { write: `new/${round}/x`, value: 'x' },
        { delete: `new/${round - 1}/x` },
      ] as const
      await session.batch(operations, { durability: 'tree' })
      expect(made.deaths.end()).toBe(1)
      expect(readFileSync(`${made.root}/agent/a`, 'utf8')).toBe(`round ${round}`)
      expect(await session.read(`new/${round}/x`)).toBe('x')
      if (call >= CALLS_OF_A_TASK) break
    }
    expect(openFiles(made.root)).toEqual(before)
    await store.close()
    expect(readdirSync(`${made.root}/.agent_state/preserved`)).toEqual([])
    const again = await made.open()
    expect(readdirSync(`${made.root}/.agent_state/tmp`), 'swept by the next opening').toEqual([])
    await again.close()
  })

  test('always: what was acknowledged is durable and readable, flush and close say that files are missing (I1, I8)', async () => {
    const made = await filled()
    const store = await made.open()
    const warnings: string[] = []
    store.events.on('warning', ({ code }) => warnings.push(code))
    const session = await store.resume('agent')
    made.deaths.begin('materialize', FOR_EVER, 1)
    await session.write('a', 'acknowledged')
    await refusal('TREE_STUCK', () => store.flush())
    const pending = await refusal('TREE_PENDING', () => session.delete('b/c', { durability: 'tree' }))
    expect(pending.outcome).toBe('committed')
    expect(await session.read('a')).toBe('acknowledged')
    expect(await session.read('b/c')).toBeNull()
    expect(warnings).toContain('TREE_STUCK')
    expect(store.state).toBe('open')
    await refusal('CLOSE_INCOMPLETE', () => store.close())
    expect(readFileSync(`${made.root}/agent/a`, 'utf8')).toBe('one')
    made.deaths.end()

    const again = await made.open()
    expect(readFileSync(`${made.root}/agent/a`, 'utf8')).toBe('acknowledged')
    expect(await (await again.resume('agent')).list()).toEqual(['a'])
    await again.close()
  })
})

describe('a thread that dies while the root is opened', () => {
  test.each(['scan-journal', 'prepare-segment', 'remove-segments', 'materialize'])(
    'in %s, once: nobody notices',
    async (kind) => {
      const made = await filled()
      await abandoned(made)
      made.deaths.begin(kind, 1, 2)
      const store = await made.open()
      expect(made.deaths.end()).toBe(1)
      expect(await (await store.resume('agent')).read('a')).toBe('three')
      await store.close()
    },
  )

  test.each([
    ['scan-journal', 'READ_FAILED'],
    ['prepare-segment', 'ROOT_UNUSABLE'],
    ['list-namespaces', null],
    ['remove-segments', null],
    ['materialize', null],
  ] as const)('in %s, always: %s, with nothing lost or left open', async (kind, code) => {
    const made = await filled()
    await abandoned(made)
    made.deaths.begin(kind, FOR_EVER)
    if (code === null) {
      const store = await made.open()
      expect(await (await store.resume('agent')).read('a')).toBe('three')
      await store.close().catch(() => {})
    } else {
      expect(await refusal(code, () => made.open())).toMatchObject({ outcome: 'unchanged' })
    }
    expect(openFiles(made.root)).toEqual([])
    made.deaths.end()
    const store = await made.open()
    expect(await (await store.resume('agent')).read('a')).toBe('three')
    await store.close()
  })
})

test('a thread that dies while it prepares a segment refuses nothing that has room (I8)', async () => {
  const made = await filled()
  const store = await made.open()
  const session = await store.resume('agent')
  made.deaths.begin('prepare-segment', FOR_EVER)
  let written = 0
  const refused = await failureOf(async () => {
    for (;;) await session.write(`large/${written++}`, new Uint8Array(1024 * 1024))
  })
  expect(refused).toMatchObject({ code: 'NO_SPACE', outcome: 'unchanged' })
  expect(await session.delete('a')).toMatchObject({ deleted: true })
  made.deaths.end()
  expect(
    readdirSync(`${made.root}/.agent_state/journal`).length,
    'I9: no file is left of each attempt',
  ).toBeLessThan(4)
  // That there was none is believed for a moment.
  const after = (): Promise<unknown> => session.write('after', new Uint8Array(1024 * 1024))
  while (
    !(await after().then(
      () => true,
      () => false,
    ))
  );
  await store.close()
})

async function runProgram(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return code === 0 ? said : `${said} (exit code ${code})`
}

test('a process without file descriptors loses nothing, is told so, and goes on when it has some again (I1, I8, I11)', async () => {
  const limited = 'ulimit -n 120 && exec "$@"'
  const args = [
    '-c',
    limited,
    'sh',
    process.execPath,
    program('out-of-descriptors.mjs'),
    temporaryDirectory(),
  ]
  expect(await runProgram('sh', args)).toBe('all as promised')
})

test('a thread that runs out of memory is replaced, and its task done (I1, I11)', async () => {
  const args = ['--max-old-space-size=48', program('out-of-memory.mjs'), temporaryDirectory()]
  expect(await runProgram(process.execPath, args)).toBe('all as promised')
})
