import { filesOf, type Tree } from './history-tree.js'
import { locate } from './location.js'
import type { Content } from './trace.js'

/** Keys and contents of one namespace. */
export function namespaceFiles(tree: Tree, namespace: string): Map<string, Content> {
  const files = new Map<string, Content>()
  for (const [name, node] of tree) {
    // A folder of the tree is a namespace as a whole, so the others need not be walked through.
    const isFolder = node instanceof Map
    if (locate(isFolder ? `${name}/file` : name)?.namespace !== namespace) continue
    for (const [path, { content }] of filesOf(new Map([[name, node]]))) {
      const location = locate(path)
      if (location !== null) files.set(location.key, content)
    }
  }
  return files
}
