import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies, type Latencies } from '../../../dist/bench/latencies.js'
import { openStore, type Session, type Store } from 'agent-state'
import { choose } from '../harness/profile.js'
import { combinations, numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween } from '../harness/usage.js'
import { DURABLE } from './common.js'

const CALLERS = 64

export const events: Scenario = {
  name: 'events',
  question: 'How soon do subscribers learn of a change, and what do they cost the writers?',
  workload:
    '64 callers, each writing a key of its own, 256 B, one namespace; 0, 1, 10 or 100 subscribers that get every change: listeners (`events.on`), or watches (`session.watch`). The delivery time is from the start of the write to the last subscriber',
  durability: `${DURABLE}; nobody is told of a change before that`,
  cells: ({ profile }) => {
    const subscribers = choose(profile, [1, 10, 100], [10, 100])
    return [
      { kind: 'nobody', subscribers: 0 },
      ...combinations({ kind: ['listeners', 'watches'], subscribers }),
    ].map((parameters) => ({ contestant: 'agent-state', parameters }))
  },
  run,
  columns: [
    { measure: 'perSecond', title: 'writes/s' },
    { measure: 'deliveriesPerSecond', title: 'deliveries/s' },
    { measure: 'p50Us', title: 'write p50 µs' },
    { measure: 'p99Us', title: 'write p99 µs' },
    { measure: 'deliveryP50Us', title: 'delivery p50 µs' },
    { measure: 'deliveryP99Us', title: 'delivery p99 µs' },
    { measure: 'deliveryP999Us', title: 'delivery p99.9 µs' },
    { measure: 'missed', title: 'deliveries that a full buffer dropped' },
    { measure: 'cpuUs', title: 'CPU µs a write' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
  ],
  plots: [],
}

interface Deliveries {
  count: number
  /** Watches that ended because they fell behind. */
  missed: number
  readonly times: Latencies
  readonly startedAt: Float64Array
}

async function run({ folder, profile, parameters }: RunSpec): Promise<RunResult> {
  const store = await openStore({ root: folder })
  const session = await store.init('n0')
  const writers = Array.from({ length: CALLERS }, (_, i) =>
    session.with({ writer: { writerId: `agent-${i}` } }),
  )
  const contents = incompressibleContents(256)
  const deliveries: Deliveries = {
    count: 0,
    missed: 0,
    times: latencies(),
    startedAt: new Float64Array(CALLERS),
  }
  const operation = (caller: number, index: number): unknown => {
    deliveries.startedAt[caller] = performance.now()
    return writers[caller]!.write(`k${caller}`, contents(index))
  }
  const subscribers = numberOf(parameters, 'subscribers')
  const stop = new AbortController()
  const subscribed = subscribe({
    store,
    session,
    subscribers,
    kind: String(parameters['kind']),
    deliveries,
    signal: stop.signal,
  })
  await closedLoop({ callers: CALLERS, seconds: profile.warmUpSeconds, operation })
  deliveries.times.reset()
  deliveries.count = 0
  const before = usageOf(folder)
  const {
    operations,
    seconds,
    latencies: writes,
  } = await closedLoop({ callers: CALLERS, seconds: profile.seconds, operation })
  const used = usedBetween(before, usageOf(folder))
  stop.abort()
  await Promise.all(subscribed)
  await store.close({ flush: false })
  const { p50Us, p99Us, p999Us } = deliveries.times.summary()
  return {
    measures: {
      operations,
      perSecond: operations / seconds,
      deliveriesPerSecond: deliveries.count / seconds,
      ...writes.summary(),
      ...(subscribers === 0 ? {} : { deliveryP50Us: p50Us, deliveryP99Us: p99Us, deliveryP999Us: p999Us }),
      missed: deliveries.missed,
      cpuUs: used.cpuUs / operations,
      memoryMiB: peakMemoryMiB(),
    },
  }
}

interface Subscribers {
  readonly store: Store
  readonly session: Session
  readonly kind: string
  readonly subscribers: number
  readonly deliveries: Deliveries
  readonly signal: AbortSignal
}

function subscribe({ store, session, kind, subscribers, deliveries, signal }: Subscribers): Promise<void>[] {
  return Array.from({ length: subscribers }, async (_, i) => {
    const isLast = i === subscribers - 1
    const deliver = (key: string): void => {
      deliveries.count++
      if (isLast) deliveries.times.record(performance.now() - deliveries.startedAt[Number(key.slice(1))]!)
    }
    if (kind === 'listeners') {
      store.events.on('change', ({ key }) => deliver(key), { signal })
      return
    }
    try {
      for await (const item of session.watch({ signal })) if (item.type === 'change') deliver(item.key)
    } catch {
      // The signal, or a watch that fell behind: then it says so.
      if (!signal.aborted) deliveries.missed++
    }
  })
}
