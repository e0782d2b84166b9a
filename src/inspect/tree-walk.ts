/** Lists what lies below a namespace's directory, keys and everything else. Nothing is followed out of it. */
import { errorCode } from '../backend/file/file-system.js'
import { namespaceDirectory } from '../backend/file/layout.js'
import { isKey } from '../backend/file/namespace-scan.js'
import { isNamespaceName } from '../namespace.js'
import { META_DIRECTORY, ORIGIN_TEMP_MARKER } from '../names.js'
import { finding } from './finding.js'
import { readOnlyFileSystem as fs } from './read-only-file-system.js'
import { problem, type Report } from './store-files.js'

export function listNamespaceNames(root: string): string[] {
  return fs
    .list(root)
    .flatMap(({ name, kind }) => (kind === 'directory' && isNamespaceName(name) ? [name] : []))
    .sort()
}

export interface NamespaceFiles {
  readonly keys: readonly string[]
  /** Of the metadata files, below the namespace's metadata directory. */
  readonly metadata: readonly string[]
}

export function listNamespaceFiles(root: string, namespace: string, report: Report): NamespaceFiles {
  const top = namespaceDirectory(root, namespace)
  const keys: string[] = []
  const metadata: string[] = []
  const pending = ['']
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const isMetadata = directory.startsWith(`${META_DIRECTORY}/`)
    try {
      for (const { name, kind } of fs.list(`${top}/${directory}`)) {
        const path = directory + name
        const below = `${namespace}/${path}`
        if (kind === 'directory') pending.push(`${path}/`)
        else if (kind === 'file' && name.includes(ORIGIN_TEMP_MARKER)) report(leftover(below))
        else if (kind !== 'file')
          report(finding('ignored', 'layout', below, `it is no file (${kindName(kind)})`))
        else if (isMetadata) metadata.push(path.slice(META_DIRECTORY.length + 1))
        else if (isKey(path)) keys.push(path)
        else report(finding('ignored', 'layout', below, 'no key can have this name'))
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') continue
      report(problem(error, 'layout', `${namespace}/${directory}`, '', { namespace }))
    }
  }
  keys.sort()
  return { keys, metadata }
}

function kindName(kind: string): string {
  return kind === 'symlink' ? 'a symbolic link' : 'a device, pipe or socket'
}

function leftover(path: string): ReturnType<typeof finding> {
  const message = 'a temporary file of the program that made this root'
  return finding('leftover', 'layout', path, message, {
    repair: 'removes it when the namespace is first used',
  })
}
