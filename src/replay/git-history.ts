/**
 * The history of a git repository as a trace: all ancestors of its HEAD, parents first, each with what differs from its
 * first parent (renames are a deletion and a new file). Contents stay in the repository; the trace names them.
 */
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readGit, startGit, type GitCommand } from './git-command.js'
import { GitObjects } from './git-objects.js'
import { InputError, messageOf } from './input-error.js'
import { formatCommit, type Change, type Commit, type FileKind } from './trace.js'

export interface GitTrace {
  /** Paths that are not UTF-8, which no key can hold. They are left out; bytes that are no text are shown as U+FFFD. */
  readonly skipped: ReadonlySet<string>
}

/** Writes the trace of a repository to a new file. An abort ends git, which would go on for long in a large history. */
export async function writeGitTrace(
  repository: string,
  traceFile: string,
  limit: number,
  signal?: AbortSignal,
): Promise<GitTrace> {
  signal?.throwIfAborted()
  const head = await resolveHead(repository)
  const skipped = new Set<string>()
  const objects = new GitObjects(repository, 'sizes')
  try {
    const lines = async function* (): AsyncGenerator<string> {
      for await (const commit of readCommits(repository, head, { limit, objects, skipped, signal })) {
        yield `${formatCommit(commit)}\n`
      }
    }
    await pipeline(Readable.from(lines()), createWriteStream(traceFile, { flags: 'wx' }))
  } catch (error) {
    // What git says of its end is no reason.
    signal?.throwIfAborted()
    throw error
  } finally {
    objects.close()
  }
  return { skipped }
}

async function resolveHead(repository: string): Promise<string> {
  try {
    const output = await readGit(repository, ['rev-parse', '--verify', '--end-of-options', 'HEAD^{commit}'])
    return output.toString('latin1').trim()
  } catch (error) {
    const message = `${repository} is not a git repository with a commit: ${messageOf(error)}`
    throw new InputError(message, { cause: error })
  }
}

type CommitLine = Omit<Commit, 'changes'>

/** Fields end with NUL, which neither ids nor names hold; a line end can't be in them either. */
const COMMIT_FORMAT = '--format=%H%x00%P%x00%aN <%aE>'

interface Reading {
  readonly limit: number
  readonly objects: GitObjects
  readonly skipped: Set<string>
  readonly signal: AbortSignal | undefined
}

async function* readCommits(
  repository: string,
  head: string,
  { limit, objects, skipped, signal }: Reading,
): AsyncGenerator<Commit> {
  const list = startGit(repository, ['rev-list', '--topo-order', '--reverse', COMMIT_FORMAT, head])
  const diff = startGit(repository, [
    'diff-tree',
    '--stdin',
    '-r',
    '-z',
    '--root',
    '--always',
    '--no-renames',
  ])
  const stop = (): void => {
    list.kill()
    diff.kill()
  }
  signal?.addEventListener('abort', stop)
  if (signal?.aborted === true) stop()
  const waiting: CommitLine[] = []
  const fed = feedCommits(list, diff, limit, waiting)
  fed.catch(() => {})
  try {
    for await (const { id, changes } of readDiffs(diff.stdout)) {
      signal?.throwIfAborted()
      const line = waiting.shift()
      if (line?.id !== id) throw new InputError(`git diff-tree answered for ${id}, not for ${line?.id}`)
      yield { ...line, changes: await withSizes(changes, objects, skipped) }
    }
    await Promise.all([fed, diff.done])
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
  }
}

/** Asks for the differences of each listed commit. What waits for an answer is bounded by the pipes between. */
async function feedCommits(
  list: GitCommand,
  diff: GitCommand,
  limit: number,
  waiting: CommitLine[],
): Promise<void> {
  list.stdin.end()
  let count = 0
  const questions = async function* (): AsyncGenerator<string> {
    for await (const line of splitRecords(list.stdout, 0x0a)) {
      if (line.includes(0) && count < limit) {
        count += 1
        const commit = parseCommitLine(line)
        waiting.push(commit)
        yield `${[commit.id, ...commit.parents.slice(0, 1)].join(' ')}\n`
      }
    }
  }
  await pipeline(Readable.from(questions()), diff.stdin)
  await list.done
}

function parseCommitLine(line: Buffer): CommitLine {
  const [id = '', parents = '', author = ''] = line.toString('utf8').split('\0')
  return { id, parents: parents === '' ? [] : parents.split(' '), author }
}

interface RawChange {
  readonly path: Buffer
  readonly mode: string
  readonly blob: string
}

interface Diff {
  readonly id: string
  readonly changes: RawChange[]
}

const COLON = 0x3a

/** `<commit>` and then, for each change, `:<mode> <mode> <blob> <blob> <status>` and its path, all ended by NUL. */
async function* readDiffs(output: Readable): AsyncGenerator<Diff> {
  let diff: Diff | null = null
  let change: Omit<RawChange, 'path'> | null = null
  for await (const record of splitRecords(output, 0)) {
    if (change !== null) {
      diff?.changes.push({ ...change, path: record })
      change = null
    } else if (record[0] === COLON) {
      const [, mode = '', , blob = ''] = record.toString('latin1').split(' ')
      change = { mode, blob }
    } else {
      if (diff !== null) yield diff
      diff = { id: record.toString('latin1'), changes: [] }
    }
  }
  if (diff !== null) yield diff
}

async function* splitRecords(stream: Readable, separator: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    const data = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    let start = 0
    for (let end = data.indexOf(separator); end !== -1; end = data.indexOf(separator, start)) {
      yield data.subarray(start, end)
      start = end + 1
    }
    rest = data.subarray(start)
  }
  if (rest.length > 0) yield rest
}

async function withSizes(
  changes: readonly RawChange[],
  objects: GitObjects,
  skipped: Set<string>,
): Promise<Change[]> {
  const sized = changes.map(async ({ path, mode, blob }): Promise<Change | null> => {
    const text = path.toString('utf8')
    if (!Buffer.from(text, 'utf8').equals(path)) {
      skipped.add(text)
      return null
    }
    const kind = kindOf(mode)
    if (kind === null) return { path: text, content: null }
    const size = kind === 'submodule' ? blob.length : (await objects.get(blob)).size
    return { path: text, content: { kind, blob, size } }
  })
  return (await Promise.all(sized)).filter((change) => change !== null)
}

/** Null: the path is gone. */
function kindOf(mode: string): FileKind | null {
  switch (mode) {
    case '000000':
      return null
    case '120000':
      return 'symlink'
    case '160000':
      return 'submodule'
    case '100755':
      return 'executable'
    default:
      return 'file'
  }
}
