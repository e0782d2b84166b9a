import { setImmediate as nextTurn } from 'node:timers/promises'
import { contentPath } from '../backend/file/layout.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import { listNamespaceFiles, listNamespaceNames } from './tree-walk.js'

export interface TreeSize {
  readonly namespaces: number
  readonly keys: number
  /** Of contents. */
  readonly bytes: number
}

/** Counts what the tree shows; no file is opened. */
export async function treeSize(root: string, signal: AbortSignal): Promise<TreeSize> {
  let keys = 0
  let bytes = 0
  const names = listNamespaceNames(root)
  for (const namespace of names) {
    await nextTurn()
    signal.throwIfAborted()
    const files = listNamespaceFiles(root, namespace, () => {})
    keys += files.keys.length
    for (const key of files.keys) bytes += fs.lstat(contentPath(root, namespace, key))?.size ?? 0
  }
  return { namespaces: names.length, keys, bytes }
}
