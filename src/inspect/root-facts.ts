/** What can be told of a root from its files, whether it is open or not. Nothing is changed, and hardly anything is locked. */
import { readCheckpoint, type CheckpointState } from '../backend/file/checkpoint.js'
import { FORMAT, readFormat } from '../backend/file/format.js'
import { storeLayout } from '../backend/file/layout.js'
import { listSegments } from '../backend/file/segment.js'
import { lockQuietly, type Owner } from './quiet-lock.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import { checkFormat, checkJournal, countPreserved } from './store-files.js'
import type { Finding } from './finding.js'

export interface RootFacts {
  readonly root: string
  readonly format: number
  readonly storeId: string | null
  /** Who has it open; null: nobody. */
  readonly owner: Owner | null
  /** The last one to have it open brought everything into the tree. */
  readonly clean: boolean
  /** No revision above it was ever given out. */
  readonly revisionCeiling: number | null
  readonly journalSegments: number
  readonly journalBytes: number
  /** Keys that the journal has and the tree does not show; null: only the owner knows. */
  readonly backlogKeys: number | null
  readonly preserved: number
  /** What is wrong with the store's own files. */
  readonly problems: readonly Finding[]
}

/** The id that the store at a root has; empty if it has none yet. */
export function storeIdOf(root: string): string {
  return readFormat(fs, storeLayout(root).format)?.storeId ?? ''
}

export async function rootFacts(root: string): Promise<RootFacts> {
  const layout = storeLayout(root)
  const owner = await ownerOf(root)
  const { storeId, checkpoint } = lastWords(root)
  const problems: Finding[] = []
  // A root that was not made to its end is no problem; one that has lost its format is.
  if (storeId === null)
    checkFormat(root, (found) => {
      if (found.kind !== 'unfinished') problems.push(found)
    })
  const segments = listSegments(fs, layout.journal)
  return {
    ...{ root, format: FORMAT, storeId, owner, problems },
    clean: owner === null && checkpoint?.clean === true,
    revisionCeiling: checkpoint?.ceiling ?? null,
    journalSegments: segments.length,
    journalBytes: segments.reduce((sum, { path }) => sum + (fs.lstat(path)?.size ?? 0), 0),
    backlogKeys: await countBacklog(root, storeId, checkpoint, owner, problems),
    preserved: countPreserved(root),
  }
}

function lastWords(root: string): { storeId: string | null; checkpoint: CheckpointState | null } {
  const { format, checkpoint } = storeLayout(root)
  const storeId = readFormat(fs, format)?.storeId ?? null
  return { storeId, checkpoint: storeId === null ? null : readCheckpoint(fs, checkpoint, storeId).state }
}

/**
 * A root that was closed cleanly has no owner: the first thing that one does is to take that back. So its lock need not be
 * tried, which would refuse whoever opens the root at that moment; after an unclean end there is no other way.
 */
async function ownerOf(root: string): Promise<Owner | null> {
  if (lastWords(root).checkpoint?.clean === true) return null
  const lock = await lockQuietly(root)
  if (lock.status === 'held') lock.release()
  return lock.status === 'owned' ? lock.owner : null
}

async function countBacklog(
  root: string,
  storeId: string | null,
  checkpoint: CheckpointState | null,
  owner: Owner | null,
  problems: Finding[],
): Promise<number | null> {
  if (problems.length > 0) return null
  if (storeId === null || checkpoint === null) return 0
  if (owner !== null) return null
  const journal = await checkJournal(root, storeId, checkpoint, (found) => problems.push(found))
  return journal?.backlog.count ?? null
}
