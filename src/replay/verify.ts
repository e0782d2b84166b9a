/**
 * Compares the files of a closed store with a history's head, with nothing of the store's own code: what it finds is
 * what `ls` and `cat` show. Besides the history's files only the store's own folders may be there; empty folders do not
 * count, because histories have none.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contents } from './contents.js'
import { filesOf, type Tree } from './history-tree.js'
import { locate } from './location.js'
import type { Content } from './trace.js'

/** In the root: the journal and what else the store keeps for itself. */
const STORE_FOLDER = '.agent_state'
/** In each namespace: who wrote which key. */
const METADATA_FOLDER = '.agent_state_meta'

export interface Verification {
  /** Files that are as they should be, and the bytes in them. */
  readonly files: number
  readonly bytes: number
  /** Everything that is not, one sentence each. */
  readonly differences: readonly string[]
}

export async function verifyTree(
  root: string,
  head: Tree,
  contents: Contents,
  signal?: AbortSignal,
): Promise<Verification> {
  const expected = new Map<string, Content>()
  for (const [path, { content }] of filesOf(head)) {
    const location = locate(path)
    if (location !== null) expected.set(`${location.namespace}/${location.key}`, content)
  }
  const differences: string[] = []
  let files = 0
  let bytes = 0
  for await (const { path, isFile } of walk(root)) {
    signal?.throwIfAborted()
    const content = expected.get(path)
    expected.delete(path)
    const problem = await findProblem(join(root, path), isFile, content, contents)
    if (problem !== null) differences.push(`${path} ${problem}`)
    else {
      files += 1
      bytes += content?.size ?? 0
    }
  }
  for (const path of expected.keys()) differences.push(`${path} is missing`)
  return { files, bytes, differences }
}

async function findProblem(
  file: string,
  isFile: boolean,
  content: Content | undefined,
  contents: Contents,
): Promise<string | null> {
  if (content === undefined) return 'should not be there'
  if (!isFile) return 'is not a regular file'
  const [found, wanted] = await Promise.all([readFile(file), contents.read(content)])
  if (found.length !== wanted.length) return `has ${found.length} bytes, not ${wanted.length}`
  return found.equals(wanted) ? null : 'has other bytes'
}

interface Found {
  /** From the root, with `/`. */
  readonly path: string
  readonly isFile: boolean
}

/** All that is no folder. Links are not followed. */
async function* walk(root: string, folder = ''): AsyncGenerator<Found> {
  const depth = folder === '' ? 0 : folder.split('/').length
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    if (depth === 0 && entry.name === STORE_FOLDER) continue
    if (depth === 1 && entry.name === METADATA_FOLDER) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* walk(root, path)
    else yield { path, isFile: entry.isFile() }
  }
}
