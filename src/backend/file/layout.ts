/**
 * Where things lie below a root:
 *
 * ```
 * <root>/.agent_state/                                      the store's own: see StoreLayout
 * <root>/<namespace>/<key>                                  content
 * <root>/<namespace>/.agent_state_meta/<key>.json           metadata, first place
 * <root>/<namespace>/.agent_state_meta/.agent_state_meta/<sha256 of the key>.json    metadata, second place
 * ```
 *
 * The second place is for a key whose first place is taken by the other kind: `a` needs the file `a.json` where
 * `a.json/b` needs a directory. No key can have its first place there, because the name is reserved.
 */
import { createHash } from 'node:crypto'
import { META_DIRECTORY, STORE_DIRECTORY } from '../../names.js'

const PRESERVED = 'preserved'

export interface StoreLayout {
  readonly directory: string
  readonly format: string
  readonly checkpoint: string
  readonly lock: string
  readonly gitignore: string
  readonly journal: string
  /** Files on their way into the tree. */
  readonly tmp: string
  /** Hand edits that recovery moved out of the way. */
  readonly preserved: string
  /** The last conflicts, a line each. */
  readonly conflicts: string
  /** Where the owner can be reached by other processes; there as long as a store is open, and after it was killed. */
  readonly socket: string
  /** Where that is made, before it is moved to its place. */
  readonly listening: string
}

export function storeLayout(root: string): StoreLayout {
  const directory = `${root}/${STORE_DIRECTORY}`
  return {
    directory,
    format: `${directory}/format`,
    checkpoint: `${directory}/checkpoint`,
    lock: `${directory}/lock`,
    gitignore: `${directory}/.gitignore`,
    journal: `${directory}/journal`,
    tmp: `${directory}/tmp`,
    preserved: `${directory}/${PRESERVED}`,
    conflicts: `${directory}/conflicts.jsonl`,
    socket: `${directory}/socket`,
    listening: `${directory}/tmp/listen`,
  }
}

export function namespaceDirectory(root: string, namespace: string): string {
  return `${root}/${namespace}`
}

export function contentPath(root: string, namespace: string, key: string): string {
  return `${root}/${namespace}/${key}`
}

/** Top of the first places of a namespace. */
export function metadataDirectory(root: string, namespace: string): string {
  return `${root}/${namespace}/${META_DIRECTORY}`
}

export function firstMetadataPath(root: string, namespace: string, key: string): string {
  return `${root}/${namespace}/${META_DIRECTORY}/${key}.json`
}

/** Holds all second places of a namespace. */
export function secondMetadataDirectory(root: string, namespace: string): string {
  return `${root}/${namespace}/${META_DIRECTORY}/${META_DIRECTORY}`
}

export function secondMetadataPath(root: string, namespace: string, key: string): string {
  const name = createHash('sha256').update(key, 'utf8').digest('hex')
  return `${secondMetadataDirectory(root, namespace)}/${name}.json`
}

/** A preserved file, relative to the root. */
export function preservedName(id: string): string {
  return `${STORE_DIRECTORY}/${PRESERVED}/${id}`
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
