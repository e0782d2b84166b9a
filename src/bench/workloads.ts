/** What is measured on a user's disk, and the proof that what was acknowledged is there after reopening. */
import { openStore, type Session, type Store } from '../index.js'
import { closedLoop, type ClosedLoopResult } from './closed-loop.js'
import { incompressibleContents, type Contents } from './contents.js'
import type { LatencySummary } from './latencies.js'

const NAMESPACES = 8
const HOT_KEYS = 100
const READ_KEYS_MAX = 1000
/**
 * Each new key is two files, which take a disk some ten times as long as the write itself: so many of them for each second
 * that a workload takes, and below the bound of what may be missing in the files.
 */
const NEW_KEYS_PER_SECOND = 5000
const NEW_KEYS_MAX = 20_000

/** How many new keys a workload writes at most. */
export function newKeysMax(seconds: number): number {
  return Math.max(1, Math.min(NEW_KEYS_MAX, Math.floor(seconds * NEW_KEYS_PER_SECOND)))
}

export interface Workload {
  readonly name: string
  readonly keys: 'distinct' | 'hot'
  readonly callers: number
  readonly valueBytes: number
}

export const WORKLOADS: readonly Workload[] = [
  ...[1, 64, 256].map((callers) => ({
    name: 'write new keys',
    keys: 'distinct' as const,
    callers,
    valueBytes: 256,
  })),
  ...[1, 64, 256].map((callers) => ({
    name: 'write hot keys',
    keys: 'hot' as const,
    callers,
    valueBytes: 256,
  })),
  { name: 'write hot keys', keys: 'hot', callers: 64, valueBytes: 4096 },
]

export interface Row extends LatencySummary {
  readonly workload: string
  readonly callers: number
  readonly valueBytes: number
  readonly operations: number
  readonly perSecond: number
  /** Until the files show everything; null for reads. */
  readonly perSecondWithFiles: number | null
}

export interface Verified {
  /** Keys that an acknowledged write was compared for. */
  readonly keys: number
  /** `namespace/key` of what is missing or has another content. */
  readonly wrong: readonly string[]
}

export interface Measured {
  readonly rows: readonly Row[]
  readonly verified: Verified
}

/** The last acknowledged write of every key: its revision, and the number of its content. */
type Acknowledged = Map<string, { readonly revision: number; readonly index: number }>

export type Step = 'writing' | 'waiting for the files' | 'comparing' | 'reading'

/** Writes, waits for the files, reopens, compares everything, and reads. */
export async function measureWorkload(
  root: string,
  workload: Workload,
  seconds: number,
  signal: AbortSignal,
  onStep: (step: Step) => void = () => {},
): Promise<Measured> {
  const contents = incompressibleContents(workload.valueBytes)
  const acknowledged: Acknowledged = new Map()
  const writes = await withStore(root, signal, (store) =>
    write(store, workload, { seconds, signal, contents, acknowledged, onStep }),
  )
  return withStore(root, signal, async (store) => {
    onStep('comparing')
    const verified = await verify(store, acknowledged, contents, signal)
    const places = [...acknowledged.keys()].slice(0, READ_KEYS_MAX)
    onStep('reading')
    const reads = await read(store, places, workload, { seconds, signal })
    return { rows: [writes, reads], verified }
  })
}

/** Closed whatever happens: what was written is removed, and no thread is left. */
async function withStore<T>(
  root: string,
  signal: AbortSignal,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore({ root, signal })
  try {
    const result = await use(store)
    signal.throwIfAborted()
    return result
  } finally {
    await store.close({ flush: !signal.aborted })
  }
}

interface Measuring {
  readonly seconds: number
  readonly signal: AbortSignal
}

interface Writing extends Measuring {
  readonly contents: Contents
  readonly acknowledged: Acknowledged
  readonly onStep: (step: Step) => void
}

async function write(
  store: Store,
  workload: Workload,
  { seconds, signal, contents, acknowledged, onStep }: Writing,
): Promise<Row> {
  const { callers, keys } = workload
  const sessions = await sessionsOf(store, callers)
  const loop = (limits: { readonly seconds: number; readonly operationsMax: number }, prefix: string) =>
    closedLoop({
      ...{ callers, signal, ...limits },
      operation: async (caller, index) => {
        const key = `${prefix}${keys === 'distinct' ? index : index % HOT_KEYS}`
        const session = sessions[caller]!
        const { revision } = await session.write(key, contents(index))
        const place = `${session.namespace}/${key}`
        const known = acknowledged.get(place)
        if (known === undefined || known.revision < revision) acknowledged.set(place, { revision, index })
      },
    })
  const operationsMax = keys === 'distinct' ? newKeysMax(seconds) : Infinity
  onStep('writing')
  await loop({ seconds: seconds / 5, operationsMax: operationsMax / 20 }, 'warm')
  await store.flush({ signal })
  const begin = performance.now()
  const written = await loop({ seconds, operationsMax }, 'key')
  onStep('waiting for the files')
  await store.flush({ signal })
  const withFiles = (performance.now() - begin) / 1000
  return { ...rowOf(workload, workload.name, written), perSecondWithFiles: written.operations / withFiles }
}

/** Every caller has an identity of its own, and is at home in one of the namespaces. */
async function sessionsOf(store: Store, callers: number): Promise<Session[]> {
  const namespaces: Session[] = []
  for (let i = 0; i < NAMESPACES; i++) namespaces.push(await store.init(`bench-${i}`))
  return Array.from({ length: callers }, (_, caller) =>
    namespaces[caller % NAMESPACES]!.with({ writer: { writerId: `caller-${caller}` } }),
  )
}

async function verify(
  store: Store,
  acknowledged: Acknowledged,
  contents: Contents,
  signal: AbortSignal,
): Promise<Verified> {
  const wrong: string[] = []
  const places = [...acknowledged]
  const namespaces = await namespacesOf(store)
  await closedLoop({
    callers: 64,
    signal,
    seconds: Infinity,
    operationsMax: places.length,
    operation: async (_, index) => {
      const [place, last] = places[index]!
      const found = await readPlace(namespaces, place)
      if (found === null || Buffer.compare(found, contents(last.index)) !== 0) wrong.push(place)
    },
  })
  return { keys: places.length, wrong }
}

async function namespacesOf(store: Store): Promise<ReadonlyMap<string, Session>> {
  const sessions = new Map<string, Session>()
  for await (const name of store.namespaces()) sessions.set(name, await store.resume(name))
  return sessions
}

function readPlace(namespaces: ReadonlyMap<string, Session>, place: string): Promise<Uint8Array | null> {
  const [namespace = '', key = ''] = place.split('/')
  return namespaces.get(namespace)?.readBytes(key) ?? Promise.resolve(null)
}

async function read(
  store: Store,
  places: readonly string[],
  workload: Workload,
  { seconds, signal }: Measuring,
): Promise<Row> {
  const namespaces = await namespacesOf(store)
  const { callers } = workload
  const operation = (_: number, index: number): unknown =>
    readPlace(namespaces, places[index % places.length]!)
  await closedLoop({ callers, signal, seconds: seconds / 5, operation })
  const reads = await closedLoop({ callers, signal, seconds: seconds / 2, operation })
  return rowOf(workload, workload.name.replace('write', 'read'), reads)
}

function rowOf({ callers, valueBytes }: Workload, name: string, result: ClosedLoopResult): Row {
  const { operations, seconds, latencies } = result
  return {
    ...{ workload: name, callers, valueBytes, operations },
    perSecond: operations / seconds,
    perSecondWithFiles: null,
    ...latencies.summary(),
  }
}
