/**
 * Checks all that a root holds against what it should be, and changes nothing: every content against the checksum in its
 * metadata, the metadata against theirs, the frames of the journal that are needed, the checkpoint, the format and the
 * layout. The caller sees to it that nobody opens the root meanwhile, or says who has it open.
 */
import { Directories } from '../backend/file/directories.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import type { Finding, FindingKind } from './finding.js'
import type { TreeRules } from './entry-check.js'
import { checkNamespace, type Settle } from './namespace-check.js'
import {
  checkCheckpoint,
  checkDirectories,
  checkFormat,
  checkJournal,
  countPreserved,
  ownPath,
  problem,
} from './store-files.js'
import type { NamespaceProgress } from './namespace-progress.js'
import { listNamespaceNames } from './tree-walk.js'

export interface VerifyOptions {
  readonly root: string
  /** Set if somebody has the root open: then the journal is left out, and what does not fit is looked at again. */
  readonly settle?: Settle
  readonly signal: AbortSignal
  readonly onFinding: (found: Finding) => void
  readonly onProgress: (progress: NamespaceProgress) => void
}

export interface VerifySummary {
  readonly storeId: string | null
  readonly namespaces: number
  readonly keys: number
  /** Of contents. */
  readonly bytes: number
  /** Keys that the journal has and the tree does not show; null: not looked at. */
  readonly backlogKeys: number | null
  /** Files that were set aside because somebody edited them after an unclean end. */
  readonly preserved: number
  readonly findings: Readonly<Partial<Record<FindingKind, number>>>
}

export async function verifyRoot(options: VerifyOptions): Promise<VerifySummary> {
  const { root, settle, signal, onFinding, onProgress } = options
  const isOwned = settle !== undefined
  const findings: Partial<Record<FindingKind, number>> = {}
  const report = (found: Finding): void => {
    findings[found.kind] = (findings[found.kind] ?? 0) + 1
    onFinding(found)
  }
  const summary = { namespaces: 0, keys: 0, bytes: 0 }
  const preserved = countPreserved(root)
  const storeId = checkFormat(root, report)
  checkDirectories(root, isOwned, report)
  if (storeId === null) return { storeId, ...summary, backlogKeys: null, preserved, findings }
  const checkpoint = checkCheckpoint(root, storeId, isOwned, report)
  const journal =
    checkpoint === null || isOwned ? null : await checkJournal(root, storeId, checkpoint, report)
  signal.throwIfAborted()

  const rules: TreeRules = {
    ...{ root, storeId, directories: new Directories(fs, root), epoch: checkpoint?.epoch ?? 0 },
    // The owner raises it while it works, and a checkpoint that is lost says nothing.
    ceiling: isOwned ? Infinity : (checkpoint?.ceiling ?? Infinity),
  }
  const names = namespacesOf(root, report)
  for (const [done, namespace] of names.entries()) {
    const counted = await checkNamespace(namespace, {
      ...{ rules, settle, signal, report },
      backlog: journal?.backlog.get(namespace) ?? null,
      onProgress: (keys, keysTotal) => onProgress({ namespace, keys, keysTotal, done, total: names.length }),
    })
    summary.namespaces++
    summary.keys += counted.keys
    summary.bytes += counted.bytes
  }
  return { storeId, ...summary, backlogKeys: journal?.backlog.count ?? null, preserved, findings }
}

function namespacesOf(root: string, report: (found: Finding) => void): string[] {
  try {
    return listNamespaceNames(root)
  } catch (error) {
    report(problem(error, 'layout', ownPath('..'), ''))
    return []
  }
}
