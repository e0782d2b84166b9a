import { setImmediate } from 'node:timers/promises'
import { closedLoop } from '../../../dist/bench/closed-loop.js'
import { incompressibleContents } from '../../../dist/bench/contents.js'
import { latencies } from '../../../dist/bench/latencies.js'
import { openStore, type Session, type Store } from 'agent-state'
import { choose } from '../harness/profile.js'
import { combinations, numberOf, type RunResult, type RunSpec, type Scenario } from '../harness/scenario.js'
import { peakMemoryMiB, usageOf, usedBetween } from '../harness/usage.js'
import { DURABLE } from './common.js'

const CALLERS = 64
/** How long the last changes may take to be delivered. */
const WAIT_MS = 30_000

export const events: Scenario = {
  name: 'events',
  question: 'How soon do subscribers learn of a change, and what do they cost the writers?',
  workload:
    '64 callers, each writing a key of its own, 256 B, one namespace; 0, 1, 10 or 100 subscribers that get every change: listeners (`events.on`), or watches (`session.watch`). The delivery time is from the start of a write until the last subscriber has it. A run in which not every subscriber got every change, once, has failed',
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
    { measure: 'cpuUs', title: 'CPU µs a write' },
    { measure: 'memoryMiB', title: 'peak memory MiB' },
  ],
  plots: [],
}

/** Counts what the subscribers get, and takes the time of each write until the last one of them has it. */
class Deliveries {
  readonly times = latencies()
  readonly #subscribers: number
  /** Of every caller, who writes one key of its own: its writes, in order. */
  readonly #writes: { readonly startedAt: number; missing: number }[][]
  #written = 0
  #delivered = 0
  /** Why a subscriber gets no more. */
  #failure: unknown = null

  constructor(subscribers: number) {
    this.#subscribers = subscribers
    this.#writes = Array.from({ length: CALLERS }, () => [])
  }

  get count(): number {
    return this.#delivered
  }

  started(caller: number): void {
    this.#written++
    this.#writes[caller]!.push({ startedAt: performance.now(), missing: this.#subscribers })
  }

  /** What one subscriber calls with each change; those of one key come in the order in which they were written. */
  subscriber(): (key: string) => void {
    const next = new Uint32Array(CALLERS)
    return (key) => {
      const caller = Number(key.slice(1))
      const write = this.#writes[caller]![next[caller]!++]
      this.#delivered++
      if (write === undefined) this.failed(new Error(`a change of ${key} was delivered twice`))
      else if (--write.missing === 0) this.times.record(performance.now() - write.startedAt)
    }
  }

  failed(reason: unknown): void {
    this.#failure ??= reason
  }

  /** Waits until everybody has everything. */
  async complete(): Promise<void> {
    const expected = this.#written * this.#subscribers
    const deadline = performance.now() + WAIT_MS
    while (this.#delivered < expected && this.#failure === null && performance.now() < deadline)
      await setImmediate()
    if (this.#delivered === expected && this.#failure === null) return
    const counts = `${this.#delivered} deliveries of ${this.#written} writes to ${this.#subscribers} subscribers`
    throw new Error(counts, { cause: this.#failure })
  }
}

async function run({ folder, profile, parameters }: RunSpec): Promise<RunResult> {
  const store = await openStore({ root: folder })
  const session = await store.init('n0')
  const writers = Array.from({ length: CALLERS }, (_, i) =>
    session.with({ writer: { writerId: `agent-${i}` } }),
  )
  const contents = incompressibleContents(256)
  const subscribers = numberOf(parameters, 'subscribers')
  const deliveries = new Deliveries(subscribers)
  const operation = (caller: number, index: number): unknown => {
    deliveries.started(caller)
    return writers[caller]!.write(`k${caller}`, contents(index))
  }
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
  await deliveries.complete()
  deliveries.times.reset()
  const [before, deliveredBefore, begin] = [usageOf(folder), deliveries.count, performance.now()]
  const {
    operations,
    seconds,
    latencies: writes,
  } = await closedLoop({ callers: CALLERS, seconds: profile.seconds, operation })
  await deliveries.complete()
  const deliverySeconds = (performance.now() - begin) / 1000
  const used = usedBetween(before, usageOf(folder))
  stop.abort()
  await Promise.all(subscribed)
  await store.close({ flush: false })
  const { p50Us, p99Us, p999Us } = deliveries.times.summary()
  return {
    measures: {
      operations,
      perSecond: operations / seconds,
      deliveriesPerSecond: (deliveries.count - deliveredBefore) / deliverySeconds,
      ...writes.summary(),
      ...(subscribers === 0 ? {} : { deliveryP50Us: p50Us, deliveryP99Us: p99Us, deliveryP999Us: p999Us }),
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
  return Array.from({ length: subscribers }, async () => {
    const deliver = deliveries.subscriber()
    if (kind === 'listeners') {
      store.events.on('change', ({ key }) => deliver(key), { signal })
      return
    }
    try {
      for await (const item of session.watch({ signal })) if (item.type === 'change') deliver(item.key)
    } catch (error) {
      // The signal, or a watch that fell behind: then it says so.
      if (!signal.aborted) deliveries.failed(error)
    }
  })
}
