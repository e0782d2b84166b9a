import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json. */
export const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface Manifest {
  readonly version: string
  readonly types: string
  readonly exports: unknown
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as Manifest
}

/**
 * The environment for a child that must not notice that npm, git or vitest runs it: what they set would point the
 * child at this repository or change what it prints.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_)|npm_config_(local_)?prefix$|GIT_|VITEST|NODE_ENV$|NODE_OPTIONS$|INIT_CWD$)/i.test(
        name,
      ),
  )
  return { ...Object.fromEntries(inherited), NO_COLOR: '1', FORCE_COLOR: undefined }
}

export interface RunResult {
  /** Null if a signal ended it. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Runs a command to its end and answers with what it printed, whatever its exit status. */
export async function run(
  command: string,
  commandArguments: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const child = spawn(command, commandArguments, {
    cwd: options.cwd,
    env: { ...childEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // A test that is given up must not leave it behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  try {
    const ended = once(child, 'close')
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { status: child.exitCode, stdout, stderr }
  } finally {
    process.off('exit', kill)
  }
}

/** As `run`, for a command that must succeed; answers with its standard output. */
export async function runToSuccess(
  command: string,
  commandArguments: readonly string[],
  options: RunOptions,
): Promise<string> {
  const { status, stdout, stderr } = await run(command, commandArguments, options)
  if (status !== 0) {
    throw new Error(`${[command, ...commandArguments].join(' ')} ended with ${status}\n${stdout}\n${stderr}`)
  }
  return stdout
}

/** The paths that git tracks and that are still there, with `/` between components. */
export async function trackedFiles(): Promise<string[]> {
  // A checkout may belong to another user than the one who tests it.
  const output = await runToSuccess('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], { cwd: repository })
  return output.split('\0').filter((path) => path !== '' && existsSync(join(repository, path)))
}

/** Path of a tool that is installed with the repository. */
export function tool(name: string): string {
  return join(repository, 'node_modules', '.bin', name)
}
