/**
 * The file with the log of past conflicts: one JSON object a line, oldest first, replaced as a whole. People may read it;
 * the store trusts nothing in it.
 */
import { Directories } from './directories.js'
import { errorCode, readFully, writeFully, type FileSystem } from './file-system.js'
import { storeLayout } from './layout.js'
import type { DoneAnswer, LoadConflictsAnswer, LoadConflictsTask, SaveConflictsTask } from './tasks.js'
import { Temporaries } from './temporaries.js'

/** A file that grew beyond this is not ours. */
const BYTES_MAX = 64 * 1024 * 1024

/** Nothing there, or a symlink or device in its place. */
const NOTHING: ReadonlySet<string> = new Set(['ENOENT', 'ELOOP', 'ENXIO', 'EMLINK', 'ENOTDIR'])

export function saveConflicts(fs: FileSystem, { context, lines, atMs }: SaveConflictsTask): DoneAnswer {
  const { root, modes } = context
  const layout = storeLayout(root)
  const temporaries = new Temporaries(fs, new Directories(fs, root), layout.tmp, modes)
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  try {
    const file = temporaries.begin(atMs, (fd) => writeFully(fs, fd, bytes, 0))
    temporaries.finish(file)
    temporaries.move(file, layout.conflicts)
    return { failure: null }
  } catch (error) {
    return { failure: { code: errorCode(error), message: String(error) } }
  } finally {
    temporaries.discardAll()
  }
}

/** What is missing, or none of ours, is an empty log; what can't be read is a failure. */
export function loadConflicts(fs: FileSystem, { context }: LoadConflictsTask): LoadConflictsAnswer {
  try {
    const fd = fs.open(storeLayout(context.root).conflicts, 'read')
    try {
      const { kind, size } = fs.stat(fd)
      if (kind !== 'file' || size > BYTES_MAX) return { failure: null, lines: [] }
      const bytes = Buffer.alloc(size)
      const read = readFully(fs, fd, bytes, 0)
      return { failure: null, lines: bytes.toString('utf8', 0, read).split('\n') }
    } finally {
      fs.close(fd)
    }
  } catch (error) {
    const code = errorCode(error)
    if (NOTHING.has(code)) return { failure: null, lines: [] }
    return { failure: { code, message: String(error) }, lines: [] }
  }
}
