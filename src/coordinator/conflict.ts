/** The conflict rules, as pure functions. */
import type { ConflictRule, Writer } from '../api.js'
import { sameWriterId } from '../writer.js'

/** What the rules look at of a key. */
export interface KeyView {
  /** Null: the key is missing. */
  readonly revision: number | null
  /** The last named writer; null for a missing key. */
  readonly identity: Writer | null
  /** Who made the last change, a deletion too; null: anonymous, external, or not known any more. */
  readonly changedBy: Writer | null
}

/** A conflict, without the facts that do not depend on a rule. */
export interface Detected {
  readonly rule: ConflictRule
  readonly previous: Writer | null
}

/**
 * Decides whether a change by `current` overwrites somebody. `seen` is the revision that the writer saw last (null: saw
 * the key missing), undefined if it never saw the key. Anonymous writers never conflict.
 */
export function detectConflict(
  rule: ConflictRule,
  current: Writer | null,
  key: KeyView,
  seen: number | null | undefined,
): Detected | null {
  if (current === null) return null
  if (rule === 'lost-update' && seen !== undefined) return lostUpdate(current, key, seen)
  return writerChange(current, key)
}

function writerChange(current: Writer, key: KeyView): Detected | null {
  const previous = key.identity
  if (previous === null || previous.writerId === undefined || current.writerId === undefined) return null
  return previous.writerId === current.writerId ? null : { rule: 'writer-change', previous }
}

function lostUpdate(current: Writer, key: KeyView, seen: number | null): Detected | null {
  if (key.revision === seen) return null
  return sameWriterId(key.changedBy, current) ? null : { rule: 'lost-update', previous: key.changedBy }
}
