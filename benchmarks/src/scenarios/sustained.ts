import { readdir } from 'node:fs/promises'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies } from '../../../dist/bench/latencies.js'
import type { Opened } from '../contestants/contestant.js'
import { contestantOf } from '../contestants/index.js'
import { choose } from '../harness/profile.js'
import type { Measures, RunResult, RunSpec, Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween, writeOut } from '../harness/usage.js'
import { distinctKeys, hotKeys, settingsOf, warmUp, warmUpKeys } from '../harness/writes.js'
import { cellsOf, DURABLE, LEADING, someCallers } from './common.js'
import { HOT_KEYS } from './hot-set.js'

const MIB = 1024 * 1024
/** Of distinct keys, so that the minute shows what lasts: what the default bound holds takes the files ten minutes. */
export const BACKLOG_MIB_MAX = 32
const BARE_CALLERS = 1024
const WITHOUT_FLOOR = LEADING.filter((name) => !name.startsWith('floor'))
/** The fastest rivals: a minute of each takes long. */
const FASTEST = WITHOUT_FLOOR.filter((name) => name !== 'level batched')

export const sustained: Scenario = {
  name: 'sustained',
  question: 'What remains of it when nobody ever pauses?',
  workload: `callers write for a minute (quick: 5 s) without pause, distinct keys or a hot set of 100, 8 namespaces; with distinct keys at most ${BACKLOG_MIB_MAX} MiB of backlog; what was put off counts: the rate with drain ends when nothing is left to do, and the run fails if a file is missing then. bare files: the same two files a key without a library, and always 1,024 keys to make, so that its batches are full`,
  durability: DURABLE,
  repetitions: (usual) => Math.ceil(usual / 7),
  extraSeconds: ({ parameters }, { sustainedSeconds, seconds }) =>
    sustainedSeconds - seconds + (parameters['keys'] === 'distinct' ? sustainedSeconds / 3 : 3),
  cells: (context) => {
    const many = someCallers(context.profile)
    const callers = many.slice(-1)
    const [keys, valueBytes] = [['hot set'], [256]]
    return [
      ...cellsOf(context, LEADING, { keys, callers, valueBytes }),
      ...cellsOf(context, FASTEST, { keys, callers: many.slice(0, -1), valueBytes }),
      ...cellsOf(context, FASTEST, { keys, callers: many, valueBytes: choose(context.profile, [4096], []) }),
      ...cellsOf(context, [...WITHOUT_FLOOR, 'bare files'], { keys: ['distinct'], callers, valueBytes }),
    ]
  },
  run,
  columns: [
    { measure: 'perSecond', title: 'writes/s' },
    { measure: 'worstSecond', title: 'writes in the worst second' },
    { measure: 'perSecondWithDrain', title: 'writes/s with drain' },
    { measure: 'drainSeconds', title: 'drain s' },
    { measure: 'p50Us', title: 'p50 µs' },
    { measure: 'p99Us', title: 'p99 µs' },
    { measure: 'p999Us', title: 'p99.9 µs' },
    { measure: 'maxUs', title: 'longest µs' },
    { measure: 'flushes', title: 'flushes a write' },
    { measure: 'cpuUs', title: 'CPU µs a write' },
    { measure: 'writtenBytes', title: 'bytes written a write' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
    { measure: 'journalMiB', title: 'largest journal MiB' },
  ],
  plots: ['hot set', 'distinct'].flatMap((keys) =>
    (
      [
        { y: 'perSecond', yTitle: 'writes/s', name: 'throughput' },
        { y: 'p99Us', yTitle: 'µs', name: 'p99' },
        { y: 'memoryMiB', yTitle: 'MiB', name: 'memory' },
        { y: 'journalMiB', yTitle: 'MiB', name: 'journal' },
      ] as const
    ).map(({ y, yTitle, name }) => ({
      name: `${keys === 'distinct' ? 'distinct' : 'hot'}-${name}`,
      title: `A minute without pause, ${keys}, 256 callers, 256 B: ${name}`,
      where: { keys, valueBytes: 256, callers: 256 },
      ...{
        x: 'second',
        y,
        yTitle,
        series: true,
        logarithmic: name === 'p99' ? 'y' : 'none',
      },
    })),
  ),
}

async function run(spec: RunSpec): Promise<RunResult> {
  const { folder, profile, parameters } = spec
  const settings = settingsOf(parameters)
  const { namespaces } = settings
  const callers = spec.contestant === 'bare files' ? BARE_CALLERS : settings.callers
  const isDistinct = parameters['keys'] === 'distinct'
  const bound = isDistinct ? { backlogBytesMax: BACKLOG_MIB_MAX * MIB } : {}
  const opened = await contestantOf(spec.contestant).open(folder, { ...settings, ...bound })
  const contents = incompressibleContents(settings.valueBytes)
  const places = isDistinct ? distinctKeys(namespaces) : hotKeys(namespaces, HOT_KEYS)
  await warmUp(spec, opened, isDistinct ? warmUpKeys(namespaces) : places)
  await writeOut(folder)
  const before = usageOf(folder)
  const seconds = everySecond(opened)
  const loop = await closedLoop({
    callers,
    seconds: profile.sustainedSeconds,
    operation: (caller, index) => {
      const { namespace, key } = places(index, caller)
      return opened.write(caller, namespace, key, contents(index))
    },
    onAcknowledged: seconds.acknowledged,
  })
  const series = seconds.end()
  const drainBegin = performance.now()
  await opened.drain()
  const drainSeconds = (performance.now() - drainBegin) / 1000
  await writeOut(folder)
  const used = usedBetween(before, usageOf(folder))
  const memoryMiB = peakMemoryMiB()
  await opened.close()
  const { operations } = loop
  if (isDistinct && HAS_TREE.includes(spec.contestant)) await checkTree(folder, operations)
  return {
    measures: {
      operations,
      perSecond: operations / loop.seconds,
      worstSecond: Math.min(...series.map((second) => second['perSecond'] ?? 0)),
      perSecondWithDrain: operations / (loop.seconds + drainSeconds),
      drainSeconds,
      ...loop.latencies.summary(),
      flushes: used.flushes / operations,
      cpuUs: used.cpuUs / operations,
      writtenBytes: used.deviceBytes / operations,
      memoryMiB,
      ...(opened.journalBytes === undefined
        ? {}
        : { journalMiB: Math.max(...series.map((second) => second['journalMiB'] ?? 0)) }),
    },
    series,
  }
}

const HAS_TREE = ['agent-state', 'bare files']

/** Every key that was written has its content in a file, and another one for its metadata. */
async function checkTree(folder: string, keys: number): Promise<void> {
  let files = 0
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && /^d\d+/.test(entry.name)) files++
  }
  if (files !== 2 * keys)
    throw new Error(`${keys} keys were written, and the tree has ${files} files of them`)
}

interface Seconds {
  readonly acknowledged: (ms: number) => void
  readonly end: () => Measures[]
}

/** Looks once a second at what happened in it. A second that nobody could look at in time is a longer one. */
function everySecond({ journalBytes }: Opened): Seconds {
  const series: Measures[] = []
  const times = latencies()
  const begin = performance.now()
  let from = begin
  const look = (journalMiB: number | undefined): void => {
    const now = performance.now()
    if (times.count === 0 && now === from) return
    series.push({
      second: (now - begin) / 1000,
      perSecond: (times.count * 1000) / (now - from),
      p99Us: times.summary().p99Us,
      memoryMiB: process.memoryUsage.rss() / MIB,
      ...(journalMiB === undefined ? {} : { journalMiB }),
    })
    times.reset()
    from = now
  }
  const timer = setInterval(() => {
    if (journalBytes === undefined) look(undefined)
    else void journalBytes().then((bytes) => timer.hasRef() && look(bytes / MIB))
  }, 1000)
  return {
    acknowledged: (ms) => times.record(ms),
    end: () => {
      timer.unref()
      clearInterval(timer)
      // What is left of the last second is too short to tell, unless it is all there is.
      if (series.length === 0) look(undefined)
      return series
    },
  }
}
