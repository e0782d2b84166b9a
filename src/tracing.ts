/**
 * The tracing channels of `node:diagnostics_channel`: `tracing:agent-state.write:start` and so on. Whoever subscribes is
 * told of every call with its namespace and key, never of contents. Without subscribers a call costs one look.
 */
import { tracingChannel } from 'node:diagnostics_channel'

/** What subscribers are given with every event of a call; the channel adds `result` or `error`. */
export interface TracedCall {
  /** Missing of a commit group, which may hold changes of many. */
  readonly namespace?: string
  /** Of a write, a deletion, an update. */
  readonly key?: string
  /** Of a batch or a commit group. */
  readonly operations?: number
}

export const tracing = {
  write: tracingChannel<unknown, TracedCall>('agent-state.write'),
  delete: tracingChannel<unknown, TracedCall>('agent-state.delete'),
  batch: tracingChannel<unknown, TracedCall>('agent-state.batch'),
  update: tracingChannel<unknown, TracedCall>('agent-state.update'),
  commit: tracingChannel<unknown, TracedCall>('agent-state.commit'),
} as const
