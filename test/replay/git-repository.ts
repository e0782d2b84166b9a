import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { temporaryFolder } from './temporary-folder.js'

/** A git repository of a test, made with plumbing: nothing is checked out, and any names are possible. */
export interface GitRepository {
  readonly path: string
  /** Stores a content; gives its id. */
  blob(content: string | Uint8Array): Promise<string>
  /** Makes a commit whose tree is its first parent's with the entries changed; gives its id. */
  commit(commit: CommitOptions): Promise<string>
  /** Makes the commit the HEAD. */
  setHead(commit: string): Promise<void>
}

export interface CommitOptions {
  readonly parents: readonly string[]
  readonly author?: string
  readonly entries: readonly Entry[]
}

export interface Entry {
  readonly path: string | Buffer
  /** Id of a blob or, for a submodule, of a commit; null: the path is removed. */
  readonly id: string | null
  readonly mode?: '100644' | '100755' | '120000' | '160000'
}

export async function gitRepository(): Promise<GitRepository> {
  const path = await temporaryFolder()
  const git = (args: readonly string[], input: string | Uint8Array = '', env = {}): Promise<string> =>
    runGit(path, args, input, env)
  await git(['init', '--quiet', '--bare', '--initial-branch=main', '.'])
  return {
    path,
    blob: (content) => git(['hash-object', '-w', '--stdin'], content),
    commit: async ({ parents, author = 'Ann', entries }) => {
      const index = { GIT_INDEX_FILE: `${path}/test-index` }
      await rm(index.GIT_INDEX_FILE, { force: true })
      if (parents[0] !== undefined) await git(['read-tree', parents[0]], '', index)
      await git(['update-index', '-z', '--index-info'], indexInfo(entries), index)
      const tree = await git(['write-tree', '--missing-ok'], '', index)
      const parentArguments = parents.flatMap((parent) => ['-p', parent])
      return git(['commit-tree', ...parentArguments, '-m', 'x', tree], '', identity(author))
    },
    setHead: async (commit) => {
      await git(['update-ref', 'refs/heads/main', commit])
    },
  }
}

/** Removals first, as a file may become a folder. */
function indexInfo(entries: readonly Entry[]): Buffer {
  const lines = entries
    .toSorted((one, other) => Number(one.id !== null) - Number(other.id !== null))
    .flatMap(({ path, id, mode = '100644' }) => {
      const meta = id === null ? `0 ${'0'.repeat(40)}` : `${mode} ${id}`
      return [Buffer.from(`${meta}\t`), Buffer.from(path as string), Buffer.from('\0')]
    })
  return Buffer.concat(lines)
}

function identity(author: string): Record<string, string> {
  const date = '2020-01-01T00:00:00Z'
  return {
    GIT_AUTHOR_NAME: author,
    GIT_AUTHOR_EMAIL: `${author.toLowerCase()}@example.org`,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: author,
    GIT_COMMITTER_EMAIL: `${author.toLowerCase()}@example.org`,
    GIT_COMMITTER_DATE: date,
  }
}

function runGit(
  cwd: string,
  args: readonly string[],
  input: string | Uint8Array,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...Object.fromEntries(inherited), ...env } }
    const child = execFile('git', args, options, (error, stdout) => {
      if (error === null) resolve(stdout.trim())
      else reject(new Error(`git ${args.join(' ')} failed`, { cause: error }))
    })
    // A command that does not read its input may be gone already.
    child.stdin?.on('error', () => {}).end(input)
  })
}
