import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { contestantOf } from '../contestants/index.js'
import { inChild, runPhase } from '../harness/run-cell.js'
import type { RunResult, RunSpec, Scenario } from '../harness/scenario.js'
import { usageOf, usedBetween } from '../harness/usage.js'
import { distinctKeys, settingsOf } from '../harness/writes.js'
import { ALL, cellsOf, DURABLE } from './common.js'

const WRITES = 1000
const SEQUENTIAL = 100

export const flushes: Scenario = {
  name: 'flushes',
  question: 'Does every contestant really ask the device to flush before it acknowledges, and how often?',
  workload:
    'one process opens, 1 or 64 callers write 1,000 distinct keys (or for a while), and it closes, all under strace. Three counts of the same: the system calls in the trace (fsync, fdatasync, msync, writes to files opened with O_SYNC or O_DSYNC), the preloaded shim that all other scenarios count with, and the flushes that the device completed, of whatever process. Then 100 writes one after another, each begun when everything that was put off is done: a run in which one is acknowledged without a flush since it was begun has failed',
  durability: DURABLE,
  repetitions: () => 1,
  extraSeconds: (_, { seconds }) => 2 + 2 * seconds,
  cells: (context) => cellsOf(context, ALL, { callers: [1, 64] }),
  run,
  phases: { write, sequential },
  columns: [
    { measure: 'operations', title: 'writes' },
    { measure: 'traced', title: 'traced a write' },
    { measure: 'counted', title: 'counted by the shim a write' },
    { measure: 'device', title: 'flushes of the device a write' },
    { measure: 'isTraced', title: 'strace was there (0: nothing is traced)' },
    { measure: 'unflushed', title: 'of 100, acknowledged without a flush of their own' },
  ],
  plots: [],
}

async function run(spec: RunSpec): Promise<RunResult> {
  const traces = await mkdtemp(join(tmpdir(), 'flush-trace-'))
  try {
    const path = join(traces, 'trace')
    const before = usageOf(spec.folder)
    const isTraced = hasStrace()
    const starter = isTraced ? ['strace', ...STRACE, '-o', path] : []
    const { measures } = await inChild({ ...spec, phase: 'write' }, { env: process.env, starter })
    const used = usedBetween(before, usageOf(spec.folder))
    const { measures: one } = await runPhase(spec, 'sequential')
    const { operations = 0 } = measures
    const traced = isTraced ? countFlushes(await readFile(path, 'utf8')) : Number.NaN
    return {
      measures: {
        ...measures,
        ...one,
        isTraced: isTraced ? 1 : 0,
        traced: traced / operations,
        counted: used.flushes / operations,
        device: used.deviceFlushes / operations,
      },
    }
  } finally {
    await rm(traces, { recursive: true, force: true })
  }
}

const CALLS = 'fsync,fdatasync,msync,syncfs,sync,sync_file_range'
const WRITING = 'write,pwrite64,writev,pwritev,pwritev2'
const STRACE = ['-f', '-qq', '--seccomp-bpf', '-y', '-s', '0', '-e', `trace=${CALLS},${WRITING},open,openat`]

function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/**
 * Flushes in a trace of `strace -f -y`, where files are shown as descriptor and path. A call that was interrupted by another thread's is two lines: its end does not count.
 */
export function countFlushes(trace: string): number {
  const synced = new Set<string>()
  let count = 0
  for (const line of trace.split('\n')) {
    const [, name, rest] = /^(?:\d+ +)?(\w+)\((.*)/.exec(line) ?? []
    if (name === undefined || rest === undefined) continue
    if (name === 'open' || name === 'openat') {
      const opened = /O_D?SYNC/.test(rest) ? /= (\d+<.*>)$/.exec(line)?.[1] : undefined
      if (opened !== undefined) synced.add(opened)
    } else if (WRITING.split(',').includes(name)) {
      const written = /^(\d+<.*?>)/.exec(rest)?.[1]
      if (written !== undefined && synced.has(written)) count++
    } else if (name === 'msync' ? rest.includes('MS_SYNC') : true) {
      count++
    }
  }
  return count
}

async function write(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const { callers, namespaces, valueBytes } = settings
  const contents = incompressibleContents(valueBytes)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  const { operations } = await closedLoop({
    callers,
    seconds: 10 * spec.profile.seconds,
    operationsMax: spec.profile.name === 'tiny' ? WRITES / 20 : WRITES,
    operation: (caller, index) => {
      const { namespace, key } = distinctKeys(namespaces)(index, caller)
      return opened.write(caller, namespace, key, contents(index))
    },
  })
  await opened.close()
  return { measures: { operations } }
}

/** Nothing that was put off is under way while a write is: a flush that is counted then is this write's. */
async function sequential(spec: RunSpec): Promise<RunResult> {
  const settings = settingsOf(spec.parameters)
  const contents = incompressibleContents(settings.valueBytes)
  const opened = await contestantOf(spec.contestant).open(spec.folder, settings)
  let unflushed = 0
  for (let index = 0; index < SEQUENTIAL; index++) {
    await opened.drain()
    const { flushes: before } = usageOf(spec.folder)
    await opened.write(0, index % settings.namespaces, `s${index}`, contents(index))
    // Without the shim neither is a number.
    const { flushes: after } = usageOf(spec.folder)
    if (Number.isNaN(after)) unflushed = Number.NaN
    else if (after === before) unflushed++
  }
  await opened.close()
  if (unflushed > 0)
    throw new Error(
      `flushes: ${spec.contestant} acknowledged ${unflushed} of ${SEQUENTIAL} writes without a flush`,
    )
  return { measures: { unflushed } }
}
