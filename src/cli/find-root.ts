/** Finds the root that a command is about, as git finds its repository. */
import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'

/** What the store keeps for itself in every root. */
const STORE_DIRECTORY = '.agent_state'

export interface RootSearch {
  /** From `--root`. */
  readonly given: string | undefined
  /** From the environment. */
  readonly environment: string | undefined
  readonly from: string
  /** A root that is named with `--root` may be made. */
  readonly mayCreate?: boolean
}

/** The absolute path of a root that is there, or may be made. */
export function findRoot({ given, environment, from, mayCreate = false }: RootSearch): string {
  if (given !== undefined) return named(resolve(from, given), '--root', mayCreate)
  if (environment !== undefined && environment !== '')
    return named(resolve(from, environment), 'AGENT_STATE_ROOT', false)
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (isRoot(directory)) return directory
    if (dirname(directory) === directory) break
  }
  throw new CliError(
    'ROOT_NOT_FOUND',
    ExitCode.notFound,
    `there is no store in ${from} or above it; give --root or set AGENT_STATE_ROOT`,
  )
}

function named(path: string, from: string, mayCreate: boolean): string {
  if (mayCreate || isRoot(path)) return path
  const hint = from === '--root' ? "; 'put' and 'import' make one" : ''
  throw new CliError(
    'ROOT_NOT_FOUND',
    ExitCode.notFound,
    `there is no store at ${path} (${from}): it has no directory ${STORE_DIRECTORY}${hint}`,
  )
}

function isRoot(directory: string): boolean {
  try {
    return statSync(join(directory, STORE_DIRECTORY), { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    // What may not be looked at is no root that could be used.
    return false
  }
}
