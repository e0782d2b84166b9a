/**
 * What an inspection of a root finds.
 *
 * - `damage`: bytes that the store wrote are not what they were.
 * - `unreadable`: the file system refused, so nothing is known.
 * - `unclear`: it does not fit together, but the root is being written and its owner can't be asked.
 * - `changed`: somebody else than the store changed it, which is allowed: it counts as external.
 * - `unfinished`: what an unclean end leaves; the next opening finishes it.
 * - `leftover`: takes room and is in nobody's way.
 * - `ignored`: in the tree, but nothing that the store could show.
 */
export type FindingKind =
  'damage' | 'unreadable' | 'unclear' | 'changed' | 'unfinished' | 'leftover' | 'ignored'

export interface Finding {
  readonly kind: FindingKind
  /** Which part of the root it is about. */
  readonly part: 'format' | 'checkpoint' | 'journal' | 'content' | 'metadata' | 'layout'
  /** Below the root. */
  readonly path: string
  readonly namespace?: string
  readonly key?: string
  readonly message: string
  /** What opening the root does about it; null: nothing. */
  readonly repair: string | null
  /** What people can do where opening does nothing; null: it need not be done anything. */
  readonly advice: string | null
}

export function finding(
  kind: FindingKind,
  part: Finding['part'],
  path: string,
  message: string,
  more: Partial<Pick<Finding, 'namespace' | 'key' | 'repair' | 'advice'>> = {},
): Finding {
  return { kind, part, path, message, repair: null, advice: null, ...more }
}
