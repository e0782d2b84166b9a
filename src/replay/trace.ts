/**
 * A trace is a history as figures: one JSON object a line, a commit each, parents before children, the head last.
 *
 * `{"id":7,"parents":[5,6],"author":3,"at":120,"changes":[{"path":"d/f","kind":"file","blob":9,"size":16},{"path":"g"}]}`
 *
 * Changes are against the first parent; one without a blob is a deletion. `id`, `author` and `blob` are numbers, or
 * texts in a trace that was made from a git repository. The same blob is the same content.
 */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { InputError, messageOf } from './input-error.js'

export type Identifier = number | string

export type FileKind = 'file' | 'executable' | 'symlink' | 'submodule'

export interface Content {
  readonly kind: FileKind
  readonly blob: Identifier
  /** In bytes. */
  readonly size: number
}

export interface Change {
  readonly path: string
  /** Null: deleted. */
  readonly content: Content | null
}

export interface Commit {
  readonly id: Identifier
  readonly parents: readonly Identifier[]
  readonly author: Identifier
  /** Against the first parent, each path once. */
  readonly changes: readonly Change[]
}

const LONE_SURROGATE = /\p{Surrogate}/u
const KINDS: ReadonlySet<unknown> = new Set<FileKind>(['file', 'executable', 'symlink', 'submodule'])

/** The commits of a trace file (gzip if its name ends with `.gz`), the first `limit` of them. */
export async function* readTrace(path: string, limit = Infinity): AsyncGenerator<Commit> {
  let count = 0
  for await (const line of readLines(path)) {
    if (count === limit) return
    count += 1
    yield parseCommit(line, `${path}, line ${count}`)
  }
}

async function* readLines(path: string): AsyncGenerator<string> {
  const file = createReadStream(path)
  // The callback is for `pipeline` only: an error also ends the loop below.
  const bytes = path.endsWith('.gz') ? pipeline(file, createGunzip(), () => {}) : file
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  try {
    for await (const chunk of bytes) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    rest += decoder.decode()
  } catch (error) {
    throw new InputError(`${path} can't be read as a trace: ${messageOf(error)}`, { cause: error })
  }
  if (rest !== '') yield rest
}

/** Checks one line of a trace; `where` names it in errors. */
export function parseCommit(line: string, where: string): Commit {
  const fail = (problem: string): never => {
    throw new InputError(`${where}: ${problem}`)
  }
  const { id, parents, author, changes } = parseObject(line, fail)
  if (!isIdentifier(id)) return fail('"id" must be a number or a text')
  if (!isIdentifier(author)) return fail('"author" must be a number or a text')
  if (!Array.isArray(parents) || !parents.every(isIdentifier)) return fail('"parents" must be a list of ids')
  if (!Array.isArray(changes)) return fail('"changes" must be a list')
  const parsed = changes.map((change: unknown) => parseChange(change, fail))
  if (new Set(parsed.map(({ path }) => path)).size !== parsed.length) return fail('a path is changed twice')
  return { id, parents, author, changes: parsed }
}

type Fail = (problem: string) => never

function parseObject(line: string, fail: Fail): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return fail('not a JSON object')
  }
  return isObject(value) ? value : fail('not a JSON object')
}

function parseChange(change: unknown, fail: Fail): Change {
  if (!isObject(change)) return fail('a change must be an object')
  const { path, kind, blob, size } = change
  if (typeof path !== 'string') return fail('a change must have a "path"')
  if (!isTreePath(path)) return fail(`${JSON.stringify(path)} is not a path inside a tree`)
  if (blob === undefined && kind === undefined) return { path, content: null }
  if (!isIdentifier(blob)) return fail(`"blob" of ${JSON.stringify(path)} must be a number or a text`)
  if (!isFileKind(kind)) return fail(`"kind" of ${JSON.stringify(path)} is unknown`)
  if (!isCount(size)) return fail(`"size" of ${JSON.stringify(path)} must be a number of bytes`)
  return { path, content: { kind, blob, size } }
}

/** As git takes them: no empty, `.` or `..` components, well-formed text without NUL. */
function isTreePath(path: string): boolean {
  if (path.includes('\0') || LONE_SURROGATE.test(path)) return false
  return path.split('/').every((component) => component !== '' && component !== '.' && component !== '..')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isIdentifier(value: unknown): value is Identifier {
  return typeof value === 'string' ? value !== '' : isCount(value)
}

function isFileKind(value: unknown): value is FileKind {
  return KINDS.has(value)
}

/** The line of a commit, without its line end. */
export function formatCommit(commit: Commit): string {
  const changes = commit.changes.map(({ path, content }) => ({ path, ...content }))
  return JSON.stringify({ ...commit, changes })
}
