import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import type { Opened } from '../contestants/contestant.js'
import { contestantOf } from '../contestants/index.js'
import { choose } from '../harness/profile.js'
import { runKilledPhase, runPhase } from '../harness/run-cell.js'
import { numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { diskBytes, peakMemoryMiB } from '../harness/usage.js'
import { settingsOf } from '../harness/writes.js'
import { cellsOf } from './common.js'

const MIB = 1024 * 1024
const VALUE_BYTES = 4096
const RIVALS = ['lmdb batched', 'sqlite batched', 'level batched']

export const opening: Scenario = {
  name: 'opening',
  question: 'How long does it take to open what was closed well, and what was killed?',
  workload:
    'clean: so many keys of 256 B in 8 namespaces, closed; then opened. killed: so many MiB of 4 KiB contents written to distinct keys, then SIGKILL; opened. Afterwards every key is read and its content compared. The log is what there is of journal or write-ahead log when the process is dead, with what is kept ready in it, so that it tells how much had to be brought in at most. The process that opens has done nothing but open and close another store before, the page cache is warm',
  durability: 'what is opened was synced before it was acknowledged',
  repetitions: (usual) => Math.min(usual, 3),
  extraSeconds: ({ contestant, parameters }) => {
    const keys =
      parameters['kind'] === 'clean'
        ? Number(parameters['keys'])
        : (Number(parameters['mib']) * MIB) / VALUE_BYTES
    return contestant === 'agent-state' ? keys / 1000 + keys / 20_000 : keys / 20_000
  },
  cells: (context) => {
    const { profile } = context
    const common = { callers: [256] }
    const keys = choose(profile, [1000, 10_000, 100_000], [100, 10_000])
    const mib = choose(profile, [16, 64, 192], [1, 16])
    return [
      ...cellsOf(context, ['agent-state'], { kind: ['clean'], keys, ...common }),
      ...cellsOf(context, RIVALS, { kind: ['clean'], keys: [keys.at(-1)!], ...common }),
      ...cellsOf(context, ['agent-state'], { kind: ['killed'], mib, ...common }),
      ...cellsOf(context, RIVALS, { kind: ['killed'], mib: [mib.at(-1)!], ...common }),
    ]
  },
  run,
  phases: { prepare: write, written: write },
  columns: [
    { measure: 'openMs', title: 'open ms' },
    { measure: 'drainMs', title: 'until nothing is left to do ms' },
    { measure: 'touchMs', title: 'opened again, all 8 namespaces touched, one key read ms' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
    { measure: 'diskMiB', title: 'disk before opening MiB' },
    { measure: 'logMiB', title: 'log before opening MiB' },
  ],
  plots: [],
}

function amount({ parameters }: RunSpec): { keys: number; valueBytes: number } {
  if (parameters['kind'] === 'clean') return { keys: numberOf(parameters, 'keys'), valueBytes: 256 }
  return { keys: Math.ceil((numberOf(parameters, 'mib') * MIB) / VALUE_BYTES), valueBytes: VALUE_BYTES }
}

/** Writes everything; in the phase that is killed, it says so and waits for that. */
async function write(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const { keys, valueBytes } = amount(spec)
  const contents = incompressibleContents(valueBytes)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const { operations } = await closedLoop({
    callers: settings.callers,
    seconds: Infinity,
    operationsMax: keys,
    operation: (caller, index) =>
      opened.write(caller, index % settings.namespaces, `k${index}`, contents(index)),
  })
  if (spec.phase === 'written') {
    process.stdout.write('written')
    return new Promise(() => {})
  }
  await opened.drain()
  await opened.close()
  return { measures: { operations } }
}

async function run(spec: RunSpec): Promise<RunResult> {
  if (spec.parameters['kind'] === 'clean') await runPhase(spec, 'prepare')
  else await runKilledPhase(spec, 'written', 0)
  const disk = await diskBytes(spec.folder)
  const log = await logBytes(spec)
  const { keys } = amount(spec)
  // What the modules take to load is not what is asked for.
  const contestant = contestantOf(spec.contestant)
  await warmModules(spec)
  const begin = performance.now()
  const opened = await contestant.open(spec.folder, { ...settingsOf(spec.parameters), namespaces: 0 })
  const openMs = performance.now() - begin
  const reopened = performance.now()
  await opened.drain()
  const drainMs = openMs + performance.now() - reopened
  await opened.close()
  const touchBegin = performance.now()
  const again = await contestant.open(spec.folder, settingsOf(spec.parameters))
  const last = keys - 1
  const { namespaces } = settingsOf(spec.parameters)
  await again.read!(last % namespaces, `k${last}`)
  const touchMs = performance.now() - touchBegin
  const memoryMiB = peakMemoryMiB()
  await checkAll(spec, again)
  await again.close()
  return { measures: { openMs, drainMs, touchMs, memoryMiB, diskMiB: disk / MIB, logMiB: log / MIB } }
}

/** All of it was acknowledged. */
async function checkAll(spec: RunSpec, opened: Opened): Promise<void> {
  const { keys, valueBytes } = amount(spec)
  const { namespaces, callers } = settingsOf(spec.parameters)
  const contents = incompressibleContents(valueBytes)
  await closedLoop({
    callers,
    seconds: Infinity,
    operationsMax: keys,
    operation: async (_, index) => {
      const value = await opened.read!(index % namespaces, `k${index}`)
      if (value === null) throw new Error(`opening: k${index} of ${keys} was lost by ${spec.contestant}`)
      if (Buffer.compare(value, contents(index)) !== 0)
        throw new Error(`opening: k${index} of ${keys} has another content with ${spec.contestant}`)
    },
  })
}

/** Where what was not yet brought to its place is kept; NaN for those that have no log. */
const LOGS: Readonly<Record<string, RegExp>> = {
  'agent-state': /\/journal\/[^/]+$/,
  'sqlite batched': /-wal$/,
  'level batched': /\.log$/,
}

async function logBytes({ contestant, folder }: RunSpec): Promise<number> {
  const pattern = LOGS[contestant]
  if (pattern === undefined) return Number.NaN
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && pattern.test(path)) bytes += (await stat(path)).size
  }
  return bytes
}

/** Writes to another store, so that all code is loaded and has run once. */
async function warmModules(spec: RunSpec): Promise<void> {
  const folder = await mkdtemp(`${spec.folder}-warm-`)
  const opened = await contestantOf(spec.contestant).open(folder, {
    ...settingsOf(spec.parameters),
    namespaces: 1,
  })
  await opened.write(0, 0, 'k', new Uint8Array(1))
  await opened.drain()
  await opened.close()
  await rm(folder, { recursive: true })
}
