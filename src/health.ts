/** What the counts of a store mean for the one who runs it, in words. */
import { quantile } from './histogram.js'
import type { StoreMetrics } from './metrics.js'
import type { HostState } from './store-host.js'

export interface Health {
  /** `degraded`: everything is kept, but something deserves a look. */
  readonly status: 'ok' | 'degraded' | 'failed' | 'closed'
  /** What is wrong, one sentence each; none where all is well. */
  readonly problems: readonly string[]
}

const SLOW_SYNC_MS = 250
const FULL = 0.9

export const CLOSED: Health = { status: 'closed', problems: ['the store is closed'] }

export function healthOf(state: Exclude<HostState, 'closed'>, metrics: StoreMetrics): Health {
  const problems = [...backendProblems(metrics), ...coordinatorProblems(metrics)]
  if (state === 'failed') {
    problems.unshift(
      'the store has failed (the event `failed` said why): no more writes are taken; close it and open it again',
    )
    return { status: 'failed', problems }
  }
  return { status: problems.length === 0 ? 'ok' : 'degraded', problems }
}

function backendProblems({ backend }: StoreMetrics): string[] {
  if (backend === null) return []
  const { stuckKeys, backlogFill, backlogKeys, syncMs } = backend
  const problems: string[] = []
  if (stuckKeys > 0) {
    const keys = stuckKeys === 1 ? '1 key' : `${stuckKeys} keys`
    problems.push(`${keys} can't be brought into the tree (durable and readable; warnings say why)`)
  }
  if (backlogFill >= FULL) {
    problems.push(
      `the tree is ${backlogKeys} keys behind, which is as much as is allowed: writers wait for it`,
    )
  }
  const slow = quantile(syncMs, 0.99)
  if (slow >= SLOW_SYNC_MS)
    problems.push(`the disk is slow: one sync in a hundred took ${Math.round(slow)} ms`)
  return problems
}

function coordinatorProblems({ events }: StoreMetrics): string[] {
  if (events.missed === 0) return []
  return [
    `${events.missed} events were dropped, since the store was opened, for subscribers that did not take them in time`,
  ]
}
