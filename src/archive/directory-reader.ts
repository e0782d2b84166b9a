/** Reads a directory that an export wrote, or one that has the layout of a root. Symbolic links are not followed. */
import { Directories } from '../backend/file/directories.js'
import { readFully } from '../backend/file/file-system.js'
import { readMetadata, withFile } from '../backend/file/tree-files.js'
import { readOnlyFileSystem as fs } from '../inspect/read-only-file-system.js'
import { listNamespaceFiles, listNamespaceNames } from '../inspect/tree-walk.js'
import { isNamespaceName } from '../namespace.js'
import { META_DIRECTORY, STORE_DIRECTORY } from '../names.js'
import { ArchiveError } from './archive-error.js'
import {
  entryMetadata,
  MANIFEST_PATH,
  parseManifest,
  type EntryMetadata,
  type Manifest,
} from './archive-layout.js'
import { ENTRY_BYTES_MAX, type ArchiveItem, type ArchiveReader } from './archive-reader.js'

/** Whether anything says that it holds namespaces. Without that it may be any directory, a home or /etc. */
export function isArchiveDirectory(root: string): boolean {
  const isThere = (path: string): boolean => fs.lstat(`${root}/${path}`) !== null
  if (isThere(MANIFEST_PATH) || isThere(`${STORE_DIRECTORY}/format`)) return true
  return listNamespaceNames(root).some(
    (name) => fs.lstat(`${root}/${name}/${META_DIRECTORY}`)?.kind === 'directory',
  )
}

export class DirectoryReader implements ArchiveReader {
  readonly canRepeat = true
  readonly #root: string
  readonly #directories: Directories

  constructor(root: string) {
    this.#root = root
    this.#directories = new Directories(fs, root)
  }

  async *items(signal: AbortSignal): AsyncGenerator<ArchiveItem> {
    if (fs.lstat(`${this.#root}/${STORE_DIRECTORY}/format`) !== null) {
      const message = `${this.#root} is a root itself, and its files may be behind its journal; export it, and import that`
      throw new ArchiveError('refused', message)
    }
    const manifest = this.#manifest()
    yield* this.#strays()
    for (const namespace of listNamespaceNames(this.#root)) {
      yield { type: 'namespace', namespace }
      yield* this.#entries(namespace, signal)
    }
    yield { type: 'end', manifest }
  }

  /** What lies beside the namespaces. */
  *#strays(): Generator<ArchiveItem> {
    const entries = fs.list(this.#root).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const { name, kind } of entries) {
      if (kind === 'directory' && (name === STORE_DIRECTORY || isNamespaceName(name))) continue
      const why = kind === 'directory' ? 'no namespace can have this name' : 'it is in no namespace'
      yield { type: 'left-out', path: name, why }
    }
  }

  *#entries(namespace: string, signal: AbortSignal): Generator<ArchiveItem> {
    const strays: ArchiveItem[] = []
    const { keys } = listNamespaceFiles(this.#root, namespace, ({ kind, path, message }) => {
      if (kind === 'unreadable') throw new ArchiveError('failed', `${path} can't be read: ${message}`)
      if (kind === 'ignored') strays.push({ type: 'left-out', path, why: message })
    })
    yield* strays
    for (const key of keys) {
      signal.throwIfAborted()
      const value = this.#content(`${namespace}/${key}`)
      if (value !== null)
        yield { type: 'entry', namespace, key, value, metadata: this.#metadata(namespace, key) }
    }
  }

  #manifest(): Manifest | null {
    if (!this.#directories.isReal(`${this.#root}/${STORE_DIRECTORY}`)) return null
    const bytes = this.#content(MANIFEST_PATH)
    if (bytes === null) return null
    const manifest = parseManifest(bytes)
    if (manifest === null)
      throw new ArchiveError('damaged', `${MANIFEST_PATH} is damaged, or of a newer version`)
    return manifest
  }

  #content(path: string): Uint8Array | null {
    return withFile(fs, `${this.#root}/${path}`, (fd, { size }) => {
      if (size > ENTRY_BYTES_MAX)
        throw new ArchiveError('refused', `'${path}' has ${size} bytes, which is too large for a value`)
      const bytes = new Uint8Array(size)
      return bytes.subarray(0, readFully(fs, fd, bytes, 0))
    })
  }

  #metadata(namespace: string, key: string): EntryMetadata | null {
    const found = readMetadata(fs, this.#directories, this.#root, namespace, key)
    if (found.status === 'none') return null
    if (found.status === 'corrupt')
      throw new ArchiveError('damaged', `the metadata ${found.path} are damaged`)
    return entryMetadata(found.metadata)
  }
}
