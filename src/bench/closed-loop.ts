/** Callers that each start the next operation when the last one was acknowledged. */
import { latencies, type Latencies } from './latencies.js'

export interface ClosedLoop {
  readonly callers: number
  /** No operation starts after this time. */
  readonly seconds: number
  /** No more operations than this. Default: no bound. */
  readonly operationsMax?: number
  /** No operation starts when it is aborted; the result is of what was done until then. */
  readonly signal?: AbortSignal
  /** `index` counts the operations of all callers. */
  readonly operation: (caller: number, index: number) => unknown
  /** Called after every acknowledged operation. */
  readonly onAcknowledged?: (ms: number) => void
}

export interface ClosedLoopResult {
  readonly operations: number
  /** From the first start to the last acknowledgement. */
  readonly seconds: number
  readonly latencies: Latencies
}

export async function closedLoop(loop: ClosedLoop): Promise<ClosedLoopResult> {
  const { operation, onAcknowledged, signal, operationsMax = Infinity } = loop
  const times = latencies()
  let operations = 0
  const begin = performance.now()
  const deadline = begin + loop.seconds * 1000
  const call = async (caller: number): Promise<void> => {
    let start = performance.now()
    while (start < deadline && operations < operationsMax && signal?.aborted !== true) {
      await operation(caller, operations++)
      const end = performance.now()
      times.record(end - start)
      onAcknowledged?.(end - start)
      start = end
    }
  }
  await Promise.all(Array.from({ length: loop.callers }, (_, caller) => call(caller)))
  return { operations, seconds: (performance.now() - begin) / 1000, latencies: times }
}
