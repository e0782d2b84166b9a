/** What the counts of a store mean for the one who runs it, in words: what is wrong now, not what has been. */
import { inUtc } from './clock.js'
import { quantile } from './histogram.js'
import { quoteText } from './messages.js'
import type { BackendMetrics, HeldUpdate, StoreMetrics } from './metrics.js'
import type { HostState } from './store-host.js'
import { displayName } from './writer.js'

export interface Health {
  /** `degraded`: everything is kept, but something deserves a look. */
  readonly status: 'ok' | 'degraded' | 'failed' | 'closed'
  /** What is wrong now, one sentence each; none where all is well. What is over is in the metrics only. */
  readonly problems: readonly string[]
}

const SLOW_SYNC_MS = 250
const FULL = 0.9
/** A commit takes milliseconds. */
const COMMIT_WAIT_MS = 1000
/** Bringing a task's keys into the tree takes seconds on a slow disk. */
const MATERIALIZING_MS = 30_000
/** Functions of updates may take their time; where others wait for it, less. */
const HELD_MS = 60_000
const HELD_WHILE_OTHERS_WAIT_MS = 10_000

/** A store that was closed, or whose connection was lost: whoever refuses calls says which. */
export function closedHealth(host: { checkOpen(): void }): Health {
  try {
    host.checkOpen()
  } catch (error) {
    return { status: 'closed', problems: [error instanceof Error ? error.message : String(error)] }
  }
  return { status: 'closed', problems: ['the store is closed'] }
}

/** A store in another thread or process does not even tell what it has counted. */
export function noAnswer(state: Exclude<HostState, 'closed'>, waitedMs: number): Health {
  const problem = `the store gave no answer for ${durationInWords(waitedMs)}: its thread or process is blocked or stopped, or the root has no owner at the moment`
  return withProblems(state, [problem])
}

export function healthOf(state: Exclude<HostState, 'closed'>, metrics: StoreMetrics): Health {
  const { backend, events, updates } = metrics
  return withProblems(state, [
    ...commitProblems(metrics),
    ...(backend === null ? [] : diskProblems(backend)),
    ...(backend === null ? [] : treeProblems(backend)),
    ...updates.holders.filter(isHeldForLong).map(heldInWords),
    ...(events.untold === 0
      ? []
      : [`${counted(events.untold, 'event')} dropped for subscribers that do not take what waits for them`]),
  ])
}

function withProblems(state: Exclude<HostState, 'closed'>, problems: readonly string[]): Health {
  if (state === 'open') return { status: problems.length === 0 ? 'ok' : 'degraded', problems }
  const failed =
    'the store has failed (the event `failed` said why): no more writes are taken; close it and open it again'
  return { status: 'failed', problems: [failed, ...problems] }
}

function commitProblems({ commitWaitMs, queue, backend }: StoreMetrics): string[] {
  if (commitWaitMs < COMMIT_WAIT_MS) return []
  const whom = backend === null ? 'the backend' : 'the disk'
  const { operations } = queue
  const behind =
    operations === 0
      ? ''
      : `, and ${operations === 1 ? '1 operation waits' : `${operations} operations wait`} behind it`
  return [`a commit group has been waiting for ${whom} for ${durationInWords(commitWaitMs)}${behind}`]
}

function diskProblems({ noRoomMs, recentSyncMs }: BackendMetrics): string[] {
  const problems: string[] = []
  if (noRoomMs > 0) {
    const since = durationInWords(noRoomMs)
    problems.push(
      `the disk is full: the journal has found no room for ${since}; writes wait, then they are refused`,
    )
  }
  const slow = quantile(recentSyncMs, 0.99)
  if (slow >= SLOW_SYNC_MS)
    problems.push(`the disk is slow: in the last minute one sync in a hundred took ${Math.round(slow)} ms`)
  return problems
}

function treeProblems({ stuckKeys, backlogFill, backlogKeys, materializingMs }: BackendMetrics): string[] {
  const problems: string[] = []
  const keys = (count: number): string => (count === 1 ? '1 key' : `${count} keys`)
  if (stuckKeys > 0)
    problems.push(
      `${keys(stuckKeys)} can't be brought into the tree (durable and readable; warnings say why)`,
    )
  if (materializingMs >= MATERIALIZING_MS) {
    const since = durationInWords(materializingMs)
    problems.push(
      `the tree is ${keys(backlogKeys)} behind, and a worker has been at it for ${since}: it hangs, or its disk does`,
    )
  }
  if (backlogFill >= FULL) {
    problems.push(
      `the tree is ${keys(backlogKeys)} behind, which is as much as is allowed: writers wait for it`,
    )
  }
  return problems
}

function isHeldForLong({ heldMs, waiting }: HeldUpdate): boolean {
  return heldMs >= (waiting > 0 ? HELD_WHILE_OTHERS_WAIT_MS : HELD_MS)
}

function heldInWords({ namespace, key, writer, isConnected, heldMs, sinceMs, waiting }: HeldUpdate): string {
  const by = writer === null ? 'somebody without a name' : quoteText(displayName(writer))
  const where = isConnected ? ' in another thread or process' : ''
  const since = `for ${durationInWords(heldMs)}, since ${inUtc(sinceMs)}`
  const others = waiting === 0 ? 'nobody' : waiting === 1 ? '1 other' : `${waiting} others`
  const wait = waiting > 1 ? 'wait' : 'waits'
  return `an update by ${by}${where} holds ${quoteText(key)} in namespace ${quoteText(namespace)} ${since}: ${others} ${wait} for it`
}

function counted(count: number, one: string): string {
  return count === 1 ? `1 ${one} was` : `${count} ${one}s were`
}

function durationInWords(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
