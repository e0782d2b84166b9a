/** The agents of a replay: every author is one, and writes under its own identity. */
import type { DeleteResult, Operation, Session, WriteResult } from '../index.js'

export type BatchResults = readonly (WriteResult | DeleteResult)[]

export interface Agents {
  /** Batches take effect in the order of the calls; otherwise the next one has to wait for the result. */
  readonly keepOrder: boolean
  /** Has the author write a batch to the session's namespace; resolves when it is durable. */
  batch(session: Session, author: string, operations: readonly Operation[]): Promise<BatchResults>
  close(): Promise<void>
}

/** All agents in the store's own thread. */
export const localAgents: Agents = {
  keepOrder: true,
  batch: (session, author, operations) => session.with({ writer: { writerId: author } }).batch(operations),
  close: () => Promise.resolve(),
}
