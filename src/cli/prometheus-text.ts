/** Metrics in the text format that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import type { HistogramCounts, StoreMetrics } from '../index.js'

type Labels = Readonly<Record<string, string>>

export function prometheusText(metrics: StoreMetrics): string {
  return [...coordinatorLines(metrics), ...backendLines(metrics)].join('\n') + '\n'
}

function coordinatorLines(metrics: StoreMetrics): string[] {
  const { conflicts, reads, queue, events, updates } = metrics
  return [
    ...gauge('uptime_seconds', 'Since the store was opened.', metrics.uptimeMs / 1000),
    ...counter('writes_total', 'Keys written, durably.', metrics.writes),
    ...counter('deletes_total', 'Keys deleted, durably.', metrics.deletes),
    ...counter('refused_total', 'Requests answered with an error.', metrics.refused),
    ...family('conflicts_total', 'counter', 'Conflicts found, by policy.', [
      ...Object.entries(conflicts).map(([policy, count]) => [{ policy }, count] as const),
    ]),
    ...family('reads_total', 'counter', 'Reads, by who answered them.', [
      [{ from: 'memory' }, reads.memory],
      [{ from: 'backend' }, reads.backend],
    ]),
    ...histogram('group_operations', 'Operations in a commit group.', metrics.groupOperations, 1),
    ...histogram('commit_seconds', 'From the beginning of a commit group to its answer.', metrics.commitMs),
    ...histogram('queue_wait_seconds', 'Wait of a namespace for its commit group.', metrics.queueWaitMs),
    ...gauge('commit_wait_seconds', 'For which the oldest commit group waits.', metrics.commitWaitMs / 1000),
    ...gauge('queue_operations', 'Operations that wait to be committed.', queue.operations),
    ...gauge('queue_bytes', 'Bytes that wait to be committed.', queue.bytes),
    ...counter('events_missed_total', 'Events dropped for slow subscribers.', events.missed),
    ...gauge('events_waiting', 'Events that wait in iterators.', events.waiting),
    ...gauge('updates_held', 'Keys of which an update has its turn.', updates.held),
    ...gauge('updates_waiting', 'Updates that wait for their turn.', updates.waiting),
    ...gauge(
      'update_held_seconds',
      'For which the longest update has had its turn.',
      updates.longestMs / 1000,
    ),
    ...gauge('connections', 'Open connections of threads and processes.', metrics.connections),
  ]
}

function backendLines({ backend }: StoreMetrics): string[] {
  if (backend === null) return []
  return [
    ...counter('journal_bytes_total', 'Bytes appended to the journal.', backend.journalBytes),
    ...histogram('journal_write_seconds', 'Writing a frame of the journal.', backend.appendMs),
    ...histogram('journal_sync_seconds', 'Syncing a frame of the journal.', backend.syncMs),
    ...gauge('no_room_seconds', 'For which the journal found no room.', backend.noRoomMs / 1000),
    ...gauge('backlog_keys', 'Keys that are durable and not in the tree.', backend.backlogKeys),
    ...gauge('backlog_bytes', 'Journal that is not in the tree.', backend.backlogBytes),
    ...gauge('backlog_fill_ratio', 'At 1 writers wait for the tree.', backend.backlogFill),
    ...gauge('stuck_keys', "Keys that can't be brought into the tree.", backend.stuckKeys),
    ...gauge(
      'materializing_seconds',
      'For which a task of a worker has run.',
      backend.materializingMs / 1000,
    ),
    ...counter('materialized_total', 'Keys brought into the tree.', backend.materialized),
  ]
}

function counter(name: string, help: string, value: number): string[] {
  return family(name, 'counter', help, [[{}, value]])
}

function gauge(name: string, help: string, value: number): string[] {
  return family(name, 'gauge', help, [[{}, value]])
}

/** Milliseconds become seconds, as is the custom there. */
function histogram(name: string, help: string, counts: HistogramCounts, perUnit = 1000): string[] {
  const buckets = counts.buckets.map(({ limit, count }) =>
    sample(`${name}_bucket`, { le: String(limit / perUnit) }, count),
  )
  return [
    ...head(name, 'histogram', help),
    ...buckets,
    sample(`${name}_bucket`, { le: '+Inf' }, counts.count),
    sample(`${name}_sum`, {}, counts.sum / perUnit),
    sample(`${name}_count`, {}, counts.count),
  ]
}

function family(
  name: string,
  type: string,
  help: string,
  samples: readonly (readonly [Labels, number])[],
): string[] {
  return [...head(name, type, help), ...samples.map(([labels, value]) => sample(name, labels, value))]
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP agent_state_${name} ${help}`, `# TYPE agent_state_${name} ${type}`]
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
  return `agent_state_${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`
}
