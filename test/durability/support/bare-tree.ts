/**
 * The files of a root as somebody sees them who knows nothing of the store's journal: what `ls` and `cat` show. Taken
 * from a real directory here, from a simulated disk elsewhere.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { STORE_DIRECTORY } from '../../../src/names.js'

export interface BareTree {
  /** Content by path relative to the root; without the store's own directory. */
  readonly files: ReadonlyMap<string, Buffer>
  readonly directories: ReadonlySet<string>
  /** What lies in the store's own directory, by path relative to it, without the journal's segments. */
  readonly own: ReadonlySet<string>
}

export function readBareTree(root: string): BareTree {
  const files = new Map<string, Buffer>()
  const directories = new Set<string>()
  const own = new Set<string>()
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    const full = `${entry.parentPath}/${entry.name}`
    addToTree({ files, directories, own }, full.slice(root.length + 1), () =>
      entry.isDirectory() ? null : readFileSync(full),
    )
  }
  return { files, directories, own }
}

interface GrowingTree {
  readonly files: Map<string, Buffer>
  readonly directories: Set<string>
  readonly own: Set<string>
}

/** `read` gives null for a directory. */
export function addToTree(tree: GrowingTree, path: string, read: () => Buffer | null): void {
  if (path === STORE_DIRECTORY || path.startsWith(`${STORE_DIRECTORY}/journal/`)) return
  if (path.startsWith(`${STORE_DIRECTORY}/`)) {
    tree.own.add(path.slice(STORE_DIRECTORY.length + 1))
    return
  }
  const content = read()
  if (content === null) tree.directories.add(path)
  else tree.files.set(path, content)
}
