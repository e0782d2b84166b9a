/** Finds the root that a command is about, as git finds its repository. */
import { lstatSync, opendirSync, statSync, type Stats } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MANIFEST_PATH } from '../archive/archive-layout.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'
import { escapeUnsafe } from './printable.js'

/** What the store keeps for itself in every root. */
const STORE_DIRECTORY = '.agent_state'
/** At least one of them is in every root, however damaged. */
const OWN_FILES = ['format', 'checkpoint', 'journal']
const ROOT_USER = 0

export interface RootSearch {
  /** From `--root`. */
  readonly given: string | undefined
  /** From the environment. */
  readonly environment: string | undefined
  readonly from: string
  /** A root that is named with `--root` may be made. */
  readonly mayCreate?: boolean
  /** Who looks for it; undefined: the system has no such ids. */
  readonly userId?: number | undefined
}

/** The absolute path of a root that is there, or may be made. */
export function findRoot(search: RootSearch): string {
  const { given, environment, from, mayCreate = false, userId = process.getuid?.() } = search
  if (given !== undefined) return named(resolve(from, given), '--root', mayCreate)
  if (environment !== undefined && environment !== '')
    return named(resolve(from, environment), 'AGENT_STATE_ROOT', false)
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (isRoot(directory)) return ofOwnUser(directory, userId)
    if (isExport(directory)) throw noRootButExport(directory)
    if (dirname(directory) === directory) break
  }
  throw new CliError(
    'ROOT_NOT_FOUND',
    ExitCode.notFound,
    escapeUnsafe(`there is no store in ${from} or above it; ${adviceIn(resolve(from), userId)}`),
  )
}

/** So many entries of a directory are looked at, and so many stores named. */
const ENTRIES_MAX = 1000
const NAMED_MAX = 3

/** What to do where none was found: one directly below may be the one that is meant. */
function adviceIn(directory: string, userId: number | undefined): string {
  const [first, ...more] = rootsBelow(directory, userId)
  if (first === undefined) return 'give --root or set AGENT_STATE_ROOT'
  if (more.length === 0) return `there is one in ./${first}: --root ${shellWord(`./${first}`)}`
  return `there are some below: ${[first, ...more].map((name) => `--root ${shellWord(`./${name}`)}`).join(', ')}`
}

function rootsBelow(directory: string, userId: number | undefined): string[] {
  const found: string[] = []
  for (const name of firstNames(directory)) {
    const path = join(directory, name)
    if (isRoot(path) && isOwn(path, userId)) found.push(name)
  }
  return found.sort().slice(0, NAMED_MAX)
}

function firstNames(directory: string): string[] {
  const names: string[] = []
  try {
    const opened = opendirSync(directory)
    try {
      for (let count = 0; count < ENTRIES_MAX; count++) {
        const entry = opened.readSync()
        if (entry === null) break
        if (entry.isDirectory()) names.push(entry.name)
      }
    } finally {
      opened.closeSync()
    }
  } catch {
    // What can't be listed names nothing.
  }
  return names
}

/** As a shell takes it for one word. */
function shellWord(text: string): string {
  return /^[\w./+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

function named(path: string, from: string, mayCreate: boolean): string {
  if (isRoot(path)) return path
  if (isExport(path)) throw noRootButExport(path)
  if (mayCreate) return path
  const hint = from === '--root' ? "; 'put' and 'import' make one" : ''
  throw new CliError(
    'ROOT_NOT_FOUND',
    ExitCode.notFound,
    `there is no store at ${path} (${from}): it has no ${STORE_DIRECTORY} with a store's files${hint}`,
  )
}

function noRootButExport(path: string): CliError {
  const message = `${path} is an export, not a store; 'agent-state import ${path} --root DIR' makes a store of it`
  return new CliError('ROOT_NOT_FOUND', ExitCode.notFound, escapeUnsafe(message))
}

/** A store that somebody else put above a directory, in /tmp say, is used only by those who name it. */
function ofOwnUser(directory: string, userId: number | undefined): string {
  if (isOwn(directory, userId)) return directory
  const message = `the store in ${directory} belongs to another user; name it with --root or AGENT_STATE_ROOT to use it`
  throw new CliError('ROOT_NOT_OURS', ExitCode.usage, escapeUnsafe(message))
}

function isOwn(directory: string, userId: number | undefined): boolean {
  if (userId === undefined) return true
  return [directory, join(directory, STORE_DIRECTORY)].every((path) => {
    const { uid } = statSync(path)
    return uid === userId || uid === ROOT_USER
  })
}

function isRoot(directory: string): boolean {
  return (
    isStoreDirectory(directory) && OWN_FILES.some((name) => isThere(join(directory, STORE_DIRECTORY, name)))
  )
}

function isExport(directory: string): boolean {
  return isStoreDirectory(directory) && isThere(join(directory, MANIFEST_PATH))
}

function isStoreDirectory(directory: string): boolean {
  return lookAt(join(directory, STORE_DIRECTORY))?.isDirectory() === true
}

function isThere(path: string): boolean {
  return lookAt(path) !== undefined
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    // What may not be looked at is no root that could be used.
    return undefined
  }
}
