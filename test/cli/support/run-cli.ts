/** Runs the built `agent-state` as a person would. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { openStore, type FileOpenOptions, type Store } from 'agent-state'
import { runProgram } from '../../../dist/cli/program.js'

export const PROGRAM = fileURLToPath(new URL('../../../dist/cli/agent-state.js', import.meta.url))

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly bytes: Buffer
  readonly output: string
  readonly errors: string
}

export interface CliOptions {
  readonly cwd?: string
  /** Default: nothing. */
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** What would change what is printed, or which root is found. */
const CLEARED = {
  AGENT_STATE_ROOT: undefined,
  NO_COLOR: undefined,
  FORCE_COLOR: undefined,
  CI: undefined,
  TERM: 'xterm-256color',
  USER: 'tess',
}

export function cliEnvironment(env: CliOptions['env'] = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...CLEARED, ...env }
}

export function startCli(
  args: readonly string[],
  { cwd, env }: Omit<CliOptions, 'input'> = {},
): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: cliEnvironment(env), stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const child = startCli(args, options)
  const ended = endOf(child)
  // It may end without having read all of it.
  child.stdin!.on('error', () => {}).end(options.input ?? '')
  return ended
}

/** In this process: for what a command does, where it does not matter that it is one. */
export async function inProcess(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const [output, errors] = [new Collected(), new Collected()]
  const { exitCode } = await runProgram(args, {
    environment: cliEnvironment(options.env),
    directory: options.cwd ?? process.cwd(),
    input: Readable.from([Buffer.from(options.input ?? '')], { objectMode: false }),
    ...{ output, errors },
  })
  return {
    status: exitCode,
    signal: null,
    bytes: output.bytes,
    output: output.bytes.toString('utf8'),
    errors: errors.bytes.toString('utf8'),
  }
}

class Collected extends Writable {
  readonly #chunks: Buffer[] = []

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk)
    done()
  }
}

/** Through a shell, for pipes and redirections; `agent-state` stands for the program. */
export function shell(script: string, options: CliOptions = {}): Promise<Ended> {
  const set = `agent_state() { "$NODE" "$PROGRAM" "$@"; }; set -o pipefail 2>/dev/null\n`
  const run = set + script.replaceAll('agent-state', 'agent_state')
  const env = { ...cliEnvironment(options.env), NODE: process.execPath, PROGRAM }
  const child = spawn('bash', ['-c', run], { cwd: options.cwd, env, stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  child.stdin.on('error', () => {}).end(options.input ?? '')
  return endOf(child)
}

export function endOf(child: ChildProcess): Promise<Ended> {
  const output: Buffer[] = []
  let errors = ''
  child.stdout!.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => {
      const bytes = Buffer.concat(output)
      resolve({ status, signal, bytes, output: bytes.toString('utf8'), errors })
    })
  })
}

/** Resolves when what was written to a stream so far fits. */
export function seen(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.on('data', (chunk: Buffer | string) => {
      text += chunk.toString()
      if (pattern.test(text)) resolve(text)
    })
    stream.once('end', () => reject(new Error(`'${text}' never came to ${pattern}`)))
  })
}

/** The objects of `--json`. */
export function lines({ output }: Ended): unknown[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
}

/** On a disk, not in memory; goes away with the test. */
export function temporaryRoot(): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'agent-state-cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'root')
}

/** A store in this process; closed with the test. */
export async function ownedStore(root: string, options: Partial<FileOpenOptions> = {}): Promise<Store> {
  const store = await openStore({ root, ...options })
  onTestFinished(() => store.close())
  return store
}

/** A root that was written and closed. */
export async function closedRoot(fill: (store: Store) => Promise<unknown>): Promise<string> {
  const root = temporaryRoot()
  const store = await openStore({ root })
  await fill(store)
  await store.close()
  return root
}

/** A root that this process has open until the test ends: commands go through it, and have less to do themselves. */
export async function ownedRoot(fill: (store: Store) => Promise<unknown>): Promise<string> {
  const root = temporaryRoot()
  await fill(await ownedStore(root))
  return root
}
