export type * from './api.js'
export type {
  Backend,
  BackendHost,
  BackendSupports,
  Change as BackendChange,
  CommitOutcome,
  CorruptHead,
  Head,
  HeadAnswer,
  OpenAnswer,
  Plan,
  ReadAnswer,
  Unit,
  UnreadableHead,
} from './backend/backend.js'
export { memoryBackend } from './backend/memory.js'
export { parseConflictPolicy } from './conflict-policy.js'
export { decodeName, encodeName } from './encode-name.js'
export { AgentStateError, type Code, type ErrorFields, type ErrorOutcome } from './errors.js'
export { DEFAULT_LIMITS, type Limits } from './limits.js'
export type { Health } from './health.js'
export type { HistogramCounts } from './histogram.js'
export type { BackendMetrics, HeldUpdate, StoreMetrics } from './metrics.js'
export { connectStore } from './remote/connect.js'
export { shareStore } from './shared/share-store.js'
export { openStore } from './store.js'
export { displayName } from './writer.js'
