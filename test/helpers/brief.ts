/** Answers of a store in the words of the model, so that both can be compared. */
import type {
  Change,
  Conflict,
  DeleteResult,
  Entry,
  Operation,
  Session,
  WriteOptions,
  WriteResult,
} from '../../src/api.js'
import type { ModelConflict, ModelOperation, NamespaceModel, WriterId } from './model.js'

export type BriefChange = Pick<Change, 'key' | 'kind' | 'revision'> & { readonly writer: WriterId }

export function briefChange({ key, kind, revision, writer }: Change): BriefChange {
  return { key, kind, revision, writer: writer?.writerId ?? null }
}

export function briefConflict(conflict: Conflict | null): ModelConflict | null {
  if (conflict === null) return null
  const { key, rule, previous, previousRevision, seenRevision } = conflict
  return { key, rule, previous: previous?.writerId ?? null, previousRevision, seenRevision }
}

export function briefEntry({ key, revision, value, writer, external }: Entry): readonly unknown[] {
  return [key, revision, decode(value), writer?.writerId ?? null, external]
}

/** What `briefEntry` has to give for the keys with a prefix. */
export function expectedEntries(model: NamespaceModel, prefix = ''): readonly (readonly unknown[])[] {
  return model
    .keys()
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const { revision, value, writer } = model.entries.get(key)!
      return [key, revision, value, writer, false]
    })
}

export function decode(value: Uint8Array | null): string | null {
  return value === null ? null : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
}

/** The changes of one revision have no order among themselves where a namespace was removed. */
export function sortedWithin(changes: readonly BriefChange[]): BriefChange[] {
  return [...changes].sort((one, two) => {
    if (one.revision !== two.revision) return 0
    return one.key < two.key ? -1 : 1
  })
}

export function toOperation({ key, value, ifRevision, seenRevision }: ModelOperation): Operation {
  return value === null
    ? { delete: key, ifRevision, seenRevision }
    : { write: key, value, ifRevision, seenRevision }
}

/** One operation by itself, not in a batch. */
export function runSingle(
  real: Session,
  operation: ModelOperation,
  options: WriteOptions,
): Promise<WriteResult | DeleteResult> {
  const { key, value, ifRevision, seenRevision } = operation
  const all = { ...options, ifRevision, seenRevision }
  return value === null ? real.delete(key, all) : real.write(key, value, all)
}
