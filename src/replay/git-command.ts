import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { InputError } from './input-error.js'

export interface GitCommand {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Resolves when the command ended well, rejects with what it said otherwise. */
  readonly done: Promise<void>
  kill(): void
}

const MESSAGE_LENGTH_MAX = 2000

/** Runs git in a repository. Only plumbing commands are used: their output does not depend on anybody's settings. */
export function startGit(repository: string, commandArguments: readonly string[]): GitCommand {
  const child = spawn('git', ['-C', repository, ...commandArguments], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: gitEnvironment(),
    windowsHide: true,
  })
  const done = ended(child, commandArguments[0] ?? '')
  // Whoever waits for the output learns of a failure there; `done` may then have no listener.
  done.catch(() => {})
  // A command that ended early does not read what is still written to it; its exit status says why.
  child.stdin.on('error', () => {})
  return { stdin: child.stdin, stdout: child.stdout, done, kill: () => child.kill() }
}

/** The whole output of a command that takes no input. */
export async function readGit(repository: string, commandArguments: readonly string[]): Promise<Buffer> {
  const command = startGit(repository, commandArguments)
  command.stdin.end()
  const chunks: Buffer[] = []
  for await (const chunk of command.stdout) chunks.push(chunk as Buffer)
  await command.done
  return Buffer.concat(chunks)
}

function ended(child: ChildProcessByStdio<Writable, Readable, Readable>, name: string): Promise<void> {
  let message = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    message = (message + text).slice(-MESSAGE_LENGTH_MAX)
  })
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new InputError(`git could not be started: ${error.message}`)))
    child.once('close', (status, signal) => {
      if (status === 0) resolve()
      else reject(new InputError(`git ${name} failed (${signal ?? status}): ${message.trim()}`))
    })
  })
}

/** Without what points git at another repository, as hooks do, and without questions to the terminal. */
function gitEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^GIT_(?!CONFIG)/.test(name))
  return {
    ...Object.fromEntries(inherited),
    LC_ALL: 'C',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_LAZY_FETCH: '1',
    GIT_TERMINAL_PROMPT: '0',
  }
}
