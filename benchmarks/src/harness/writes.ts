/** The workload of most scenarios: callers that write, each again when its last write was acknowledged. */
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import type { Opened, Settings } from '../contestants/contestant.js'
import { contestantOf } from '../contestants/index.js'
import { randomNumbers } from './random.js'
import { numberOf, type Parameters, type RunResult, type RunSpec } from './scenario.js'
import { diskBytes, peakMemoryMiB, usageOf, usedBetween, writeOut } from './usage.js'

export interface Place {
  readonly namespace: number
  readonly key: string
}

/** Where a write goes. */
export type Places = (index: number, caller: number) => Place

export function distinctKeys(namespaces: number): Places {
  return (index) => ({ namespace: index % namespaces, key: `d${index}` })
}

/** So many keys in all, spread evenly over the namespaces, drawn at random. */
export function hotKeys(namespaces: number, keys: number): Places {
  const random = randomNumbers(1)
  return () => {
    const key = Math.floor(random() * keys)
    return { namespace: key % namespaces, key: `hot${key}` }
  }
}

export function settingsOf(parameters: Parameters): Settings {
  return {
    callers: numberOf(parameters, 'callers'),
    namespaces: numberOf(parameters, 'namespaces', 8),
    valueBytes: numberOf(parameters, 'valueBytes', 256),
    batch: numberOf(parameters, 'batch', 1024),
  }
}

export interface Writes {
  readonly places: Places
  /** Where the warm-up goes. Default: to the same keys. */
  readonly warmUpPlaces?: Places
  readonly operationsMax?: number
  readonly seconds?: number
  /** After the warm-up, not measured. */
  readonly prepare?: (opened: Opened) => Promise<void>
}

/** Keys of the warm-up where those to come must be new: few, so that there is little to drain. */
const WARM_UP_KEYS = 100

export function warmUpKeys(namespaces: number): Places {
  return (index) => {
    const key = index % WARM_UP_KEYS
    return { namespace: key % namespaces, key: `warm${key}` }
  }
}

export async function warmUp(
  { profile, parameters }: RunSpec,
  opened: Opened,
  places: Places,
): Promise<void> {
  const { callers, valueBytes } = settingsOf(parameters)
  const contents = incompressibleContents(valueBytes)
  await closedLoop({
    callers,
    seconds: profile.warmUpSeconds,
    operationsMax: profile.warmUpOperations,
    operation: (caller, index) => {
      const { namespace, key } = places(index, caller)
      return opened.write(caller, namespace, key, contents(index))
    },
  })
  await opened.drain()
}

/** Warm-up, burst, drain. */
export async function measureWrites(spec: RunSpec, writes: Writes): Promise<RunResult> {
  const { folder, profile, parameters } = spec
  const settings = settingsOf(parameters)
  const contents = incompressibleContents(settings.valueBytes)
  const opened = await contestantOf(spec.contestant).open(folder, settings)
  await warmUp(spec, opened, writes.warmUpPlaces ?? writes.places)
  if (writes.prepare !== undefined) {
    await writes.prepare(opened)
    await opened.drain()
  }

  await writeOut(folder)
  const before = usageOf(folder)
  const diskBefore = await diskBytes(folder)
  const burst = await closedLoop({
    callers: settings.callers,
    seconds: writes.seconds ?? profile.seconds,
    ...(writes.operationsMax === undefined ? {} : { operationsMax: writes.operationsMax }),
    operation: (caller, index) => {
      const { namespace, key } = writes.places(index, caller)
      return opened.write(caller, namespace, key, contents(index))
    },
  })
  const inBurst = usedBetween(before, usageOf(folder))
  const drainBegin = performance.now()
  await opened.drain()
  const drainSeconds = (performance.now() - drainBegin) / 1000
  const inAll = usedBetween(before, usageOf(folder))
  await writeOut(folder)
  const writtenOut = usedBetween(before, usageOf(folder))
  const disk = await diskBytes(folder)
  const memory = peakMemoryMiB()
  await opened.close()

  const { operations, seconds, latencies } = burst
  return {
    measures: {
      operations,
      perSecond: operations / seconds,
      ...latencies.summary(),
      drainSeconds,
      perSecondWithDrain: operations / (seconds + drainSeconds),
      flushes: inBurst.flushes / operations,
      flushesWithDrain: inAll.flushes / operations,
      deviceFlushes: inBurst.deviceFlushes / operations,
      cpuUs: inBurst.cpuUs / operations,
      cpuUsWithDrain: inAll.cpuUs / operations,
      writtenBytes: writtenOut.deviceBytes / operations,
      diskBytes: (disk - diskBefore) / operations,
      diskBytesInAll: disk,
      memoryMiB: memory,
    },
  }
}
