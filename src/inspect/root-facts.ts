/** What can be told of a root from its files, whether it is open or not. Nothing is changed, and nothing is locked for long. */
import { readCheckpoint, type CheckpointState } from '../backend/file/checkpoint.js'
import { FORMAT, readFormat } from '../backend/file/format.js'
import { storeLayout } from '../backend/file/layout.js'
import { listSegments } from '../backend/file/segment.js'
import { lockQuietly, type Owner } from './quiet-lock.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import { checkFormat, checkJournal, listIfThere } from './store-files.js'
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
  const lock = await lockQuietly(root)
  if (lock.status === 'held') lock.release()
  const owner = lock.status === 'owned' ? lock.owner : null
  const storeId = readFormat(fs, layout.format)?.storeId ?? null
  const checkpoint = storeId === null ? null : readCheckpoint(fs, layout.checkpoint, storeId).state
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
    preserved: listIfThere(layout.preserved).length,
  }
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
