import { Buffer } from 'node:buffer'
import { errorCode, systemError, writeFully } from './file-system.js'
import type { JournalValues } from './journal-values.js'
import {
  contentPath,
  firstMetadataPath,
  metadataDirectory,
  parentOf,
  secondMetadataDirectory,
  secondMetadataPath,
} from './layout.js'
import { encodeMetadata } from './metadata.js'
import { DirectorySyncs } from './operation-results.js'
import type { TreeOperation } from './tasks.js'
import type { Temporaries, Temporary } from './temporaries.js'
import { removeFiles, type Removal } from './tree-deletes.js'
import type { TreeRun } from './tree-writer.js'

type WriteOperation = Extract<TreeOperation, { kind: 'write' }>

/** A write whose directories are there. */
interface PlacedWrite {
  readonly index: number
  readonly operation: WriteOperation
  readonly contentPath: string
  readonly metadataPath: string
  /** The metadata lies in the second place, where it must name its key. */
  readonly inSecondPlace: boolean
}

/** A write whose new files are complete, but not at their paths. */
interface PreparedWrite extends PlacedWrite {
  readonly content: Temporary
  readonly metadata: Temporary
}

/**
 * So many writes have their files made before the first of these is synced: then the entries of the others are in the
 * directory already, which each sync of a new file writes out as well. More keep more files open, for little.
 */
const WRITES_TOGETHER = 4

/** Too many files are open, here or in the whole system. */
const NO_DESCRIPTOR: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

export function applyWrites(run: TreeRun, values: JournalValues, temporaries: Temporaries): void {
  const placed = makeDirectories(run)
  const prepared = prepareAll(run, placed, values, temporaries)
  moveAll(run, temporaries, prepared, 'content')
  moveAll(run, temporaries, prepared, 'metadata')
  removeStaleSecondPlaces(run, prepared)
}

function prepareAll(
  run: TreeRun,
  placed: readonly PlacedWrite[],
  values: JournalValues,
  temporaries: Temporaries,
): PreparedWrite[] {
  const prepared: PreparedWrite[] = []
  let open: PreparedWrite[] = []
  let openMax = WRITES_TOGETHER
  const finishOpen = (): void => {
    prepared.push(...open.filter((write) => finish(run, write, temporaries)))
    open = []
  }
  for (const write of placed) {
    run.results.attempt(write.index, () => {
      const make = (): PreparedWrite => fill(run, write, values, temporaries)
      try {
        open.push(make())
      } catch (error) {
        if (open.length === 0 || !NO_DESCRIPTOR.has(errorCode(error))) throw error
        // Others need descriptors, too.
        openMax = 1
        finishOpen()
        open.push(make())
      }
    })
    if (open.length >= openMax) finishOpen()
  }
  finishOpen()
  return prepared
}

/**
 * Syncs the way from the root to every file, also through directories that were there: whoever made them may have been
 * killed before the sync. Syncing one that has not changed costs next to nothing.
 */
function makeDirectories(run: TreeRun): PlacedWrite[] {
  const { fs, task, directories, results } = run
  const placed: PlacedWrite[] = []
  const syncs = new DirectorySyncs()
  const claimed = new Set<string>()
  task.operations.forEach((operation, index) => {
    if (operation.kind !== 'write') return
    results.attempt(index, () => {
      const write = place(run, operation, index, claimed)
      placed.push(write)
      for (const directory of directories.above(parentOf(write.contentPath))) syncs.add(directory, index)
      for (const directory of directories.above(parentOf(write.metadataPath))) syncs.add(directory, index)
    })
  })
  syncs.run(fs, results)
  return placed
}

function place(run: TreeRun, operation: WriteOperation, index: number, claimed: Set<string>): PlacedWrite {
  const { fs, directories } = run
  const { namespace, context } = run.task
  const path = contentPath(context.root, namespace, operation.key)
  directories.make(parentOf(path), context.modes.directory)
  if (fs.lstat(path)?.kind === 'directory') throw systemError('EISDIR', `a directory is at ${path}`)
  const first = firstMetadataPath(context.root, namespace, operation.key)
  const inSecondPlace = !isFree(run, first, claimed)
  const metadataPath = inSecondPlace ? secondMetadataPath(context.root, namespace, operation.key) : first
  directories.make(parentOf(metadataPath), context.modes.directory)
  claimed.add(metadataPath)
  return { index, operation, contentPath: path, metadataPath, inSecondPlace }
}

/**
 * Whether the first place can hold a file: nothing but directories above it, none in its place. Files that this task is
 * going to put somewhere count too (`claimed`); the directories it needs are there already.
 */
function isFree(run: TreeRun, first: string, claimed: ReadonlySet<string>): boolean {
  const { root } = run.task.context
  const top = metadataDirectory(root, run.task.namespace)
  const state = run.directories.inspect(parentOf(first))
  // What blocks the top itself blocks both places: making the directory reports it.
  if (state.state === 'blocked' && state.by.length > top.length) return false
  if (run.directories.above(first).some((directory) => claimed.has(directory))) return false
  return state.state !== 'real' || run.fs.lstat(first)?.kind !== 'directory'
}

function fill(
  run: TreeRun,
  write: PlacedWrite,
  values: JournalValues,
  temporaries: Temporaries,
): PreparedWrite {
  const { fs } = run
  const { value, atMs } = write.operation
  const content = temporaries.begin(atMs, (fd) => {
    const intact = values.copy(value, (piece, position) => writeFully(fs, fd, piece, position))
    if (!intact) {
      const where = `${value.segment} at offset ${value.position}`
      throw systemError('CHECKSUM', `the journal's copy of the value is damaged (${where})`)
    }
  })
  try {
    const bytes = Buffer.from(metadataOf(run, write), 'utf8')
    const metadata = temporaries.begin(atMs, (fd) => writeFully(fs, fd, bytes, 0))
    return { ...write, content, metadata }
  } catch (error) {
    temporaries.discard(content)
    throw error
  }
}

/** False: one of its files could not be synced, and neither is left. */
function finish(
  run: TreeRun,
  { index, content, metadata }: PreparedWrite,
  temporaries: Temporaries,
): boolean {
  return run.results.attempt(index, () => {
    try {
      temporaries.finish(content)
      temporaries.finish(metadata)
    } catch (error) {
      temporaries.discard(content)
      temporaries.discard(metadata)
      throw error
    }
  })
}

/** A function of the record alone, so that applying it again gives the same bytes. */
function metadataOf(run: TreeRun, { operation, inSecondPlace }: PlacedWrite): string {
  return encodeMetadata({
    writer: operation.writer,
    writerAtS: operation.writerAtS,
    own: {
      revision: operation.revision,
      storeId: run.task.context.storeId,
      size: operation.value.size,
      crc: operation.value.crc,
      writtenAtMs: operation.atMs,
      anonymous: operation.anonymous,
      key: inSecondPlace ? operation.key : null,
    },
  })
}

function moveAll(
  run: TreeRun,
  temporaries: Temporaries,
  writes: readonly PreparedWrite[],
  part: 'content' | 'metadata',
): void {
  const { fs, results } = run
  const syncs = new DirectorySyncs()
  for (const write of writes) {
    const target = part === 'content' ? write.contentPath : write.metadataPath
    results.attempt(write.index, () => {
      temporaries.move(write[part], target)
      syncs.add(parentOf(target), write.index)
    })
  }
  syncs.run(fs, results)
}

/** Metadata that went to the second place before stands behind the first and would come back when that is deleted. */
function removeStaleSecondPlaces(run: TreeRun, writes: readonly PreparedWrite[]): void {
  const { namespace, context } = run.task
  const directory = secondMetadataDirectory(context.root, namespace)
  const removals: Removal[] = []
  let isThere: boolean | null = null
  for (const { index, operation, inSecondPlace } of writes) {
    if (inSecondPlace) continue
    run.results.attempt(index, () => {
      isThere ??= run.directories.isReal(directory)
      if (!isThere) return
      removals.push({ index, paths: [secondMetadataPath(context.root, namespace, operation.key)] })
    })
  }
  removeFiles(run, removals, metadataDirectory(context.root, namespace))
}
