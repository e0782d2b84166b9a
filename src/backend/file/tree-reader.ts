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
import { checksumFile, readMetadata, withFile, type FoundMetadata } from './tree-files.js'
import { judgeEntry, type FoundContent, type Judgement, type JudgeRules } from './tree-judge.js'

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
    const read = (fd: number, stat: FileStat): TaskReadAnswer =>
      collected.hasRoom(stat.size) ? readContent(tree, entry, { path, fd, stat }, collected) : LATER
    return withFile(tree.fs, path, read) ?? MISSING
  } catch (error) {
    return failed(error, path)
  }
}

interface OpenContent {
  readonly path: string
  readonly fd: number
  readonly stat: FileStat
}

const READ_TRIES = 3

/**
 * The content of one moment. Bytes that have the checksum of their metadata are the store's own, which never change in
 * place. Into any other file somebody may be writing: it is read again until size and time stand still, or the tries are
 * used up; then what was read last is what it is.
 */
function readContent(
  tree: Tree,
  place: Place,
  { path, fd, stat }: OpenContent,
  collected: CollectedValues,
): TaskReadAnswer {
  let before = stat
  for (let triesLeft = READ_TRIES; ; triesLeft--) {
    const bytes = readBytes(tree.fs, fd, before.size)
    const found = readMetadata(tree.fs, tree.directories, tree.root, place.namespace, place.key)
    const metadata = metadataOf(found)
    const crc = metadata?.own ? crc32(bytes) : null
    const judge = ({ mtimeMs, ino }: FileStat): Judgement =>
      judgeEntry(place.key, metadata, { size: bytes.length, mtimeMs, ino, crc }, tree.rules)
    let { verdict, head } = judge(before)
    if (verdict !== 'own') {
      const after = tree.fs.stat(fd)
      const still =
        after.size === before.size && after.mtimeMs === before.mtimeMs && bytes.length === after.size
      before = after
      if (!still && triesLeft > 1) continue
      ;({ verdict, head } = judge(after))
    }
    if (verdict === 'damaged') return { status: 'corrupt', head, path, offset: null }
    const corruptMetadata = found.status === 'corrupt' ? found.path : null
    return { status: 'found', head, corruptMetadata, start: collected.add(bytes), size: bytes.length }
  }
}

function readJournal(
  journal: JournalValues,
  location: ValueLocation,
  collected: CollectedValues,
): TaskReadAnswer {
  if (!collected.hasRoom(location.size)) return LATER
  const bytes = journal.read(location)
  if (bytes === null)
    return { status: 'corrupt', head: null, path: location.segment, offset: location.position }
  return {
    status: 'found',
    head: null,
    corruptMetadata: null,
    start: collected.add(bytes),
    size: bytes.length,
  }
}

/** What one array can safely hold everywhere. The store's own values are far smaller. */
const FILE_BYTES_MAX = 2 ** 31 - 1

/** From the beginning, as many as there are, but no more than `size`. */
function readBytes(fs: FileSystem, fd: number, size: number): Uint8Array {
  if (size > FILE_BYTES_MAX) {
    throw systemError('EFBIG', `a file of ${size} bytes is too large to be read as a value`)
  }
  const buffer = new Uint8Array(size)
  return buffer.subarray(0, readFully(fs, fd, buffer, 0))
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

/** Owns the values of one answer until they are put behind each other. */
class CollectedValues {
  readonly #values: Uint8Array[] = []
  #size = 0

  hasRoom(size: number): boolean {
    return this.#size === 0 || this.#size + size <= ANSWER_BYTES
  }

  /** Returns where the value begins in the joined bytes. */
  add(value: Uint8Array): number {
    const start = this.#size
    this.#values.push(value)
    this.#size += value.length
    return start
  }

  /** In a buffer of its own: a part of one would take all of it along to the other thread. */
  join(): Uint8Array {
    const [first] = this.#values
    if (first !== undefined && first.length === this.#size && first.buffer.byteLength === this.#size)
      return first
    const joined = new Uint8Array(this.#size)
    let end = 0
    for (const value of this.#values) {
      joined.set(value, end)
      end += value.length
    }
    return joined
  }
}
