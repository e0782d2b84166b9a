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
  TaskHeadAnswer,
  TaskReadAnswer,
  ValueLocation,
} from './tasks.js'
import { checksumFile, readMetadata, withFile, type FoundMetadata } from './tree-files.js'
import { judgeEntry, type FoundContent, type JudgeRules } from './tree-judge.js'

export { listNamespaces, scanNamespace } from './namespace-scan.js'

/** An answer with so many bytes takes no further value. */
const ANSWER_BYTES = 16 * 1024 * 1024

type Failed = Extract<TaskHeadAnswer, { status: 'failed' }>

/** One answer a key, in order. A content is only read where size and time leave open whether it is the store's own. */
export function readHeads(fs: FileSystem, task: HeadsTask): TaskHeadAnswer[] {
  const tree = treeOf(fs, task)
  return task.keys.map((key) => {
    const path = contentPath(tree.root, tree.namespace, key)
    try {
      return headOf(tree, key, path)
    } catch (error) {
      return failed(error, path)
    }
  })
}

/** One answer an entry, in order. Values are read whole; once there are many bytes of them, the rest is for later. */
export function readEntries(fs: FileSystem, task: ReadTask): ReadTaskAnswer {
  const tree = treeOf(fs, task)
  const journal = new JournalValues(fs)
  const collected = new CollectedValues()
  try {
    const answers = task.entries.map(({ key, value }): TaskReadAnswer => {
      if (collected.bytes >= ANSWER_BYTES) return { status: 'later' }
      const path = value?.segment ?? contentPath(tree.root, tree.namespace, key)
      try {
        return value === undefined
          ? readContent(tree, key, path, collected)
          : readJournal(journal, value, collected)
      } catch (error) {
        return failed(error, path)
      }
    })
    return { answers, bytes: collected.join() }
  } finally {
    journal.close()
  }
}

/** What the answers of one task have in common. */
interface Tree {
  readonly fs: FileSystem
  readonly directories: Directories
  readonly root: string
  readonly namespace: string
  readonly rules: JudgeRules
}

function treeOf(fs: FileSystem, task: HeadsTask | ReadTask): Tree {
  const { root, storeId } = task.context
  const { namespace, ceiling, epoch } = task
  return { fs, directories: new Directories(fs, root), root, namespace, rules: { storeId, ceiling, epoch } }
}

function headOf(tree: Tree, key: string, path: string): TaskHeadAnswer {
  const { fs, directories, root, namespace } = tree
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

function readContent(tree: Tree, key: string, path: string, collected: CollectedValues): TaskReadAnswer {
  const { fs, directories, root, namespace } = tree
  if (!directories.isReal(parentOf(path))) return { status: 'missing' }
  const read = withFile(fs, path, (fd, stat) => readWhole(fs, fd, stat))
  if (read === null) return { status: 'missing' }
  const found = readMetadata(fs, directories, root, namespace, key)
  const metadata = metadataOf(found)
  const crc = metadata?.own ? crc32(read.bytes) : null
  const judgement = judgeEntry(key, metadata, contentOf(read.stat, crc), tree.rules)
  const { head } = judgement
  if (judgement.verdict === 'damaged') return { status: 'corrupt', head, path, offset: null }
  const corruptMetadata = found.status === 'corrupt' ? found.path : null
  return { status: 'found', head, corruptMetadata, start: collected.add(read.bytes), size: read.bytes.length }
}

function readJournal(
  journal: JournalValues,
  location: ValueLocation,
  collected: CollectedValues,
): TaskReadAnswer {
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
const READ_TRIES = 3

/**
 * The content of one moment. The store's own files never change in place, but somebody may be writing into this one: it
 * is read again until size and time stand still, or the tries are used up; then what was read last is what it is.
 */
function readWhole(fs: FileSystem, fd: number, opened: FileStat): { bytes: Uint8Array; stat: FileStat } {
  let before = opened
  for (let triesLeft = READ_TRIES; ; triesLeft--) {
    if (before.size > FILE_BYTES_MAX) {
      throw systemError('EFBIG', `a file of ${before.size} bytes is too large to be read as a value`)
    }
    const buffer = new Uint8Array(before.size)
    const bytes = buffer.subarray(0, readFully(fs, fd, buffer, 0))
    const after = fs.stat(fd)
    const still =
      after.size === before.size && after.mtimeMs === before.mtimeMs && bytes.length === after.size
    if (still || triesLeft === 1) return { bytes, stat: { ...after, size: bytes.length } }
    before = after
  }
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

  get bytes(): number {
    return this.#size
  }

  /** Returns where the value begins in the joined bytes. */
  add(value: Uint8Array): number {
    const start = this.#size
    this.#values.push(value)
    this.#size += value.length
    return start
  }

  /** In a buffer of its own, so that it can be transferred to another thread. */
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
