/** The errors that requests are refused with. */
import type { Conflict } from '../api.js'
import { stateError, type AgentStateError } from '../errors.js'
import { displayName } from '../writer.js'

/** What was refused. */
export interface RefusedEntry {
  readonly namespace: string
  readonly key: string
  /** Of the operation in its batch; null: it was asked for by itself. */
  readonly index: number | null
}

export function revisionMismatch(
  { namespace, key, index }: RefusedEntry,
  ifRevision: number | null,
  actualRevision: number | null,
): AgentStateError {
  const wanted = ifRevision === null ? 'to be missing' : `at revision ${ifRevision}`
  const found = actualRevision === null ? 'it is missing' : `it is at revision ${actualRevision}`
  return stateError('REVISION_MISMATCH', `key '${key}' was expected ${wanted}, but ${found}`, {
    namespace,
    key,
    actualRevision,
    ...(index === null ? {} : { index }),
  })
}

export function conflictRefused(
  { namespace, key, index }: RefusedEntry,
  conflict: Conflict,
  kind: 'write' | 'delete',
): AgentStateError {
  return stateError('CONFLICT', conflictMessage(conflict, kind), {
    namespace,
    key,
    conflict,
    ...(index === null ? {} : { index }),
  })
}

export function metadataCorrupt(namespace: string, key: string, path: string): AgentStateError {
  const message =
    `the metadata of key '${key}' can't be read: ${path}; ` +
    `delete the key, or write it with repairMetadata: true`
  return stateError('METADATA_CORRUPT', message, { namespace, key, path })
}

export function namespaceMissing(namespace: string): AgentStateError {
  const message = `namespace '${namespace}' was removed; init() makes it anew`
  return stateError('NAMESPACE_NOT_FOUND', message, { namespace })
}

export function keyBlocked(namespace: string, key: string, by: string): AgentStateError {
  const message = `key '${key}' can't exist beside key '${by}': their paths clash`
  return stateError('KEY_BLOCKED', message, { namespace, key, by })
}

export function namespaceFull(namespace: string, key: string, max: number): AgentStateError {
  const details = { namespace, key, limit: 'namespaceKeysMax', max, actual: max + 1 } as const
  return stateError('LIMIT_EXCEEDED', `namespace '${namespace}' has ${max} keys already`, details)
}

/** The origin's sentence, with the verb that fits. */
function conflictMessage(conflict: Conflict, kind: 'write' | 'delete'): string {
  const verb = kind === 'write' ? 'written' : 'deleted'
  const previous = displayName(conflict.previous)
  const found = conflict.previousRevision === null ? 'deleted' : 'written'
  return (
    `agent_state.${kind}: key '${conflict.key}' was previously ${found} by '${previous}' ` +
    `and is now being ${verb} by '${displayName(conflict.current)}'`
  )
}

/** An error of its own for every caller: nothing was changed for this one. */
export function storeFailed(cause: unknown): AgentStateError {
  const message = 'the store has failed and takes no more writes; close it and open it again'
  return stateError('STORE_FAILED', message, { cause })
}
