/** Lists what a root and a namespace hold, and sweeps what an interrupted write of the origin left in a namespace. */
import { AgentStateError } from '../../errors.js'
import { normalizeKey } from '../../key.js'
import { COMPONENT_BYTES_MAX } from '../../limits.js'
import { META_DIRECTORY, ORIGIN_TEMP_MARKER } from '../../names.js'
import { isNamespaceName } from '../../namespace.js'
import { utf8Length } from '../../utf8.js'
import { Directories } from './directories.js'
import { errorCode, type FileSystem } from './file-system.js'
import { metadataDirectory, namespaceDirectory } from './layout.js'
import type { ListNamespacesTask, ScanNamespaceAnswer, ScanNamespaceTask } from './tasks.js'

/** The real directories of the root whose names a namespace can have. What keeps the root from being read is thrown. */
export function listNamespaces(fs: FileSystem, task: ListNamespacesTask): string[] {
  const names: string[] = []
  for (const { name, kind } of fs.list(task.context.root)) {
    if (kind === 'directory' && isNamespaceName(name)) names.push(name)
  }
  return names
}

/**
 * The keys of a namespace: its regular files whose paths are keys. How long a key may be is an option of the store and
 * not known here, so longer ones are among them. A directory that can't be read is a failure, because its keys would
 * look deleted.
 */
export function scanNamespace(fs: FileSystem, task: ScanNamespaceTask): ScanNamespaceAnswer {
  const { root } = task.context
  const top = namespaceDirectory(root, task.namespace)
  const directories = new Directories(fs, root)
  try {
    if (!directories.isReal(top)) return { exists: false, keys: [], failure: null }
  } catch (error) {
    return scanFailed(error, top)
  }
  const keys: string[] = []
  const walk = new Walk(top)
  for (let directory = walk.next(); directory !== null; directory = walk.next()) {
    try {
      collectKeys(fs, walk, directory, keys)
    } catch (error) {
      if (!holdsNoKeys(error)) return scanFailed(error, walk.path(directory))
    }
  }
  sweepMetadata(fs, directories, metadataDirectory(root, task.namespace))
  return { exists: true, keys, failure: null }
}

/** Owns the directories still to be read, relative to the top and ending with a slash; the top itself is empty. */
class Walk {
  readonly #top: string
  readonly #pending: string[] = ['']

  constructor(top: string) {
    this.#top = top
  }

  next(): string | null {
    return this.#pending.pop() ?? null
  }

  add(directory: string): void {
    this.#pending.push(directory)
  }

  path(relative: string): string {
    return `${this.#top}/${relative}`
  }
}

function collectKeys(fs: FileSystem, walk: Walk, directory: string, keys: string[]): void {
  for (const { name, kind } of fs.list(walk.path(directory))) {
    if (name.includes(ORIGIN_TEMP_MARKER)) {
      if (kind === 'file') sweep(fs, walk.path(directory + name))
    } else if (kind === 'directory') {
      if (name !== META_DIRECTORY && utf8Length(name) <= COMPONENT_BYTES_MAX) walk.add(`${directory}${name}/`)
    } else if (kind === 'file' && isKey(directory + name)) {
      keys.push(directory + name)
    }
  }
}

/**
 * Some names can be on disk and not in a key. Blanks at the ends of a key are lost where it is given as it is, but it can
 * also be given as `./ key /.`: then they are its own.
 */
export function isKey(path: string): boolean {
  try {
    return normalizeKey(`./${path}/.`, Number.MAX_SAFE_INTEGER) === path
  } catch (error) {
    if (AgentStateError.is(error)) return false
    throw error
  }
}

/** The directory went away after it was listed, or lies so deep that no key reaches it. */
function holdsNoKeys(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errorCode(error))
}

function scanFailed(error: unknown, path: string): ScanNamespaceAnswer {
  const message = error instanceof Error ? error.message : String(error)
  return { exists: true, keys: [], failure: { code: errorCode(error), path, message } }
}

function sweepMetadata(fs: FileSystem, directories: Directories, top: string): void {
  try {
    if (!directories.isReal(top)) return
  } catch {
    // The sweep is housekeeping; what keeps metadata from being read is reported where it is read.
    return
  }
  const walk = new Walk(top)
  for (let directory = walk.next(); directory !== null; directory = walk.next()) {
    try {
      for (const { name, kind } of fs.list(walk.path(directory))) {
        if (kind === 'directory') walk.add(`${directory}${name}/`)
        else if (kind === 'file' && name.includes(ORIGIN_TEMP_MARKER)) sweep(fs, walk.path(directory + name))
      }
    } catch {
      // As above.
    }
  }
}

function sweep(fs: FileSystem, path: string): void {
  try {
    fs.unlink(path)
  } catch {
    // A leftover that stays is not listed and in nobody's way; the next scan tries again.
  }
}
