/**
 * Reads entries from the tree. Symlinks are not followed and only regular files are read, so what somebody planted is
 * `missing`; what the system refuses is `failed`, never `missing`. Nothing here changes anything but the sweep.
 */
import { crc32 } from 'node:zlib'
import { Directories } from './directories.js'
import { errorCode, readFully, systemError, type FileStat, type FileSystem } from './file-system.js'
import { JournalValues } from './journal-values.js'
import { contentPath, parentOf } from './layout.js'
import type { Metadata } from './metadata.js'
import type {
  HeadsTask,
  ReadTask,
  ReadTaskAnswer,
  ReadTaskEntry,
  TaskHeadAnswer,
  TaskReadAnswer,
  ValueLocation,
} from './tasks.js'
import { checksumFile, readMetadata, withFile, withOpened, type FoundMetadata } from './tree-files.js'
import {
  isOwn,
  judgeEntry,
  ownHead,
  type FoundContent,
  type Judgement,
  type JudgeRules,
} from './tree-judge.js'

export { listNamespaces, scanNamespace } from './namespace-scan.js'

/** The values of one answer have no more bytes, unless a single one has. */
const ANSWER_BYTES = 16 * 1024 * 1024

const MISSING: TaskReadAnswer = { status: 'missing' }
const LATER: TaskReadAnswer = { status: 'later' }

type Failed = Extract<TaskHeadAnswer, { status: 'failed' }>

/** One answer a key, in order. A content is only read where size and time leave open whether it is the store's own. */
export function readHeads(fs: FileSystem, task: HeadsTask): TaskHeadAnswer[] {
  const tree = treeOf(fs, task)
  const { namespace } = task
  return task.keys.map((key) => {
    const path = contentPath(tree.root, namespace, key)
    try {
      return headOf(tree, { namespace, key }, path)
    } catch (error) {
      return failed(error, path)
    }
  })
}

/** One answer an entry, in order. Values are read whole; what there is no room for is for later, and all behind it. */
export function readEntries(fs: FileSystem, task: ReadTask): ReadTaskAnswer {
  const tree = treeOf(fs, task)
  const journal = new JournalValues(fs)
  const collected = new CollectedValues()
  const answers: TaskReadAnswer[] = []
  try {
    for (const entry of task.entries) {
      const answer = readEntry(tree, journal, entry, collected)
      if (answer.status === 'later') break
      answers.push(answer)
    }
  } finally {
    journal.close()
  }
  while (answers.length < task.entries.length) answers.push(LATER)
  return { answers, bytes: collected.join() }
}

/** What the answers of one task have in common. */
interface Tree {
  readonly fs: FileSystem
  readonly directories: Directories
  readonly root: string
  readonly rules: JudgeRules
}

interface Place {
  readonly namespace: string
  readonly key: string
}

function treeOf(fs: FileSystem, task: HeadsTask | ReadTask): Tree {
  const { root, storeId } = task.context
  const { ceiling, epoch } = task
  return { fs, directories: new Directories(fs, root), root, rules: { storeId, ceiling, epoch } }
}

function headOf(tree: Tree, { namespace, key }: Place, path: string): TaskHeadAnswer {
  const { fs, directories, root } = tree
  if (!directories.isReal(parentOf(path))) return { status: 'missing' }
  const stat = fs.lstat(path)
  if (stat?.kind !== 'file') return { status: 'missing' }
  const found = readMetadata(fs, directories, root, namespace, key)
  const judgement = judgeEntry(key, metadataOf(found), contentOf(stat, null), tree.rules)
  if (judgement.verdict !== 'unclear') return headAnswer(found, judgement.head)
  const answer = withFile(fs, path, (fd, opened) => {
    const content = contentOf(opened, checksumFile(fs, fd, opened.size))
    return headAnswer(found, judgeEntry(key, metadataOf(found), content, tree.rules).head)
  })
  return answer ?? { status: 'missing' }
}

function headAnswer(found: FoundMetadata, head: ReturnType<typeof judgeEntry>['head']): TaskHeadAnswer {
  return found.status === 'corrupt'
    ? { status: 'corrupt-metadata', path: found.path, head }
    : { status: 'found', head }
}

function readEntry(
  tree: Tree,
  journal: JournalValues,
  entry: ReadTaskEntry,
  collected: CollectedValues,
): TaskReadAnswer {
  const { namespace, key, value } = entry
  const path = value?.segment ?? contentPath(tree.root, namespace, key)
  try {
    if (value !== undefined) return readJournal(journal, value, collected)
    if (!tree.directories.isReal(parentOf(path))) return MISSING
    const read = (fd: number): TaskReadAnswer | null =>
      readOwn(tree, entry, fd, collected) ?? examine(tree, entry, { path, fd }, collected)
    return withOpened(tree.fs, path, read) ?? MISSING
  } catch (error) {
    return failed(error, path)
  }
}

/** Beside reading more than this a look at the file costs nothing. */
const UNSEEN_BYTES_MAX = 256 * 1024

/**
 * Bytes that have size and checksum of the store's own metadata are the store's own: there is no need to look at the file
 * as well. Null: it is to be examined.
 */
function readOwn(tree: Tree, place: Place, fd: number, collected: CollectedValues): TaskReadAnswer | null {
  const { fs, directories, root, rules } = tree
  const found = readMetadata(fs, directories, root, place.namespace, place.key)
  const metadata = metadataOf(found)
  const own = metadata?.own ?? null
  if (metadata === null || own === null || !isOwn(place.key, own, rules)) return null
  if (own.size > UNSEEN_BYTES_MAX) return null
  if (!collected.hasRoom(own.size)) return LATER
  // A byte more, to see that the file ends there: a local one gives all that it has, up to what it is asked for.
  const room = collected.room(own.size + 1)
  try {
    if (fs.read(fd, room, 0, room.length, 0) !== own.size) return null
  } catch {
    // No file, or one that can't be read: `examine` tells.
    return null
  }
  if (crc32(room.subarray(0, own.size)) !== own.crc) return null
  const start = collected.keep(own.size)
  return { status: 'found', head: ownHead(metadata, own), corruptMetadata: null, start, size: own.size }
}

interface OpenContent {
  readonly path: string
  readonly fd: number
}

const READ_TRIES = 3

/**
 * The content of one moment. Bytes that have the checksum of their metadata are the store's own, which never change in
 * place. Into any other file somebody may be writing: it is read again until size and time stand still, or the tries are
 * used up; then what was read last is what it is.
 */
function examine(
  tree: Tree,
  place: Place,
  { path, fd }: OpenContent,
  collected: CollectedValues,
): TaskReadAnswer | null {
  const { fs, directories, root, rules } = tree
  let before = fs.stat(fd)
  if (before.kind !== 'file') return null
  if (!collected.hasRoom(before.size)) return LATER
  for (let triesLeft = READ_TRIES; ; triesLeft--) {
    const bytes = readBytes(fs, fd, before.size, collected)
    const found = readMetadata(fs, directories, root, place.namespace, place.key)
    const metadata = metadataOf(found)
    const crc = metadata?.own ? crc32(bytes) : null
    const size = bytes.length
    const judge = ({ mtimeMs, ino }: FileStat): Judgement =>
      judgeEntry(place.key, metadata, { size, mtimeMs, ino, crc }, rules)
    let { verdict, head } = judge(before)
    if (verdict !== 'own') {
      const after = fs.stat(fd)
      const still = after.size === before.size && after.mtimeMs === before.mtimeMs && size === after.size
      before = after
      if (!still && triesLeft > 1) continue
      ;({ verdict, head } = judge(after))
    }
    if (verdict === 'damaged') return { status: 'corrupt', head, path, offset: null }
    const corruptMetadata = found.status === 'corrupt' ? found.path : null
    return { status: 'found', head, corruptMetadata, start: collected.keep(size), size }
  }
}

function readJournal(
  journal: JournalValues,
  location: ValueLocation,
  collected: CollectedValues,
): TaskReadAnswer {
  if (!collected.hasRoom(location.size)) return LATER
  const { segment, position, size } = location
  if (!journal.read(location, collected.room(size)))
    return { status: 'corrupt', head: null, path: segment, offset: position }
  return { status: 'found', head: null, corruptMetadata: null, start: collected.keep(size), size }
}

/** What one array can safely hold everywhere. The store's own values are far smaller. */
const FILE_BYTES_MAX = 2 ** 31 - 1

/** From the beginning, as many as there are, but no more than `size`. */
function readBytes(fs: FileSystem, fd: number, size: number, collected: CollectedValues): Uint8Array {
  if (size > FILE_BYTES_MAX) {
    throw systemError('EFBIG', `a file of ${size} bytes is too large to be read as a value`)
  }
  const room = collected.room(size)
  return room.subarray(0, readFully(fs, fd, room, 0))
}

function metadataOf(found: FoundMetadata): Metadata | null {
  return found.status === 'found' ? found.metadata : null
}

function contentOf({ size, mtimeMs, ino }: FileStat, crc: number | null): FoundContent {
  return { size, mtimeMs, ino, crc }
}

/** The system names the path where it knows it. */
function failed(error: unknown, path: string): Failed {
  const message = error instanceof Error ? error.message : String(error)
  const named =
    error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : path
  return { status: 'failed', code: errorCode(error), path: named, message }
}

/** Enough for the values of most answers. */
const COLLECTED_BYTES_FIRST = 16 * 1024

/** Owns the values of one answer, one behind the other in one piece of memory: a buffer each would cost more than the values. */
class CollectedValues {
  #bytes = new Uint8Array(0)
  #end = 0

  hasRoom(size: number): boolean {
    return this.#end === 0 || this.#end + size <= ANSWER_BYTES
  }

  /** Where the next value may be read to; good until the next call. */
  room(size: number): Uint8Array {
    const needed = this.#end + size
    if (needed > this.#bytes.length) {
      const ahead = Math.min(2 * this.#bytes.length, ANSWER_BYTES)
      const grown = new Uint8Array(Math.max(needed, ahead, COLLECTED_BYTES_FIRST))
      grown.set(this.#bytes.subarray(0, this.#end))
      this.#bytes = grown
    }
    return this.#bytes.subarray(this.#end, needed)
  }

  /** So many of the bytes that were read to there are a value. Returns where it begins. */
  keep(size: number): number {
    const start = this.#end
    this.#end += size
    return start
  }

  /** In a buffer of their own: a part of one would take all of it along to the other thread. */
  join(): Uint8Array {
    return this.#end === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#end)
  }
}
