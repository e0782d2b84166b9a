/** One run: a fresh process, a fresh folder; of that nothing large is left. */
import { fork, spawn } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FlushShim } from './flush-shim.js'
import { removeLarge } from './leftovers.js'
import type { Profile } from './profile.js'
import type { Cell, RunResult, RunSpec } from './scenario.js'
import { writeOut } from './usage.js'

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

export interface RunSettings {
  readonly scenario: string
  readonly profile: Profile
  /** Where the folder is made. */
  readonly root: string
  readonly shim: FlushShim | null
  readonly flushDelayMs: number
  readonly cpuProfiles?: string | undefined
  readonly signal: AbortSignal
}

export async function runCell(cell: Cell, settings: RunSettings): Promise<RunResult> {
  const { scenario, profile, root, shim, flushDelayMs, cpuProfiles, signal } = settings
  const folder = await mkdtemp(join(root, 'run-'))
  try {
    const spec: RunSpec = { ...cell, scenario, profile, flushDelayMs, folder }
    const env = { ...process.env, ...shim?.environment(flushDelayMs) }
    return await inChild(spec, { env, signal, nodeArguments: profilingTo(cpuProfiles, spec) })
  } finally {
    await removeLarge(folder)
    // Whoever comes next does not pay for what is left to be written of this one, deletions included.
    await writeOut(root)
  }
}

export interface ChildSettings {
  readonly env: NodeJS.ProcessEnv
  readonly signal?: AbortSignal
  /** A program, with arguments, that is to start the process. */
  readonly starter?: readonly string[]
  readonly nodeArguments?: readonly string[]
}

/** Each run has a folder of its own, in which each thread has a file. */
function profilingTo(folder: string | undefined, spec: RunSpec): string[] {
  if (folder === undefined) return []
  const parts = [spec.scenario, spec.contestant, ...Object.values(spec.parameters), basename(spec.folder)]
  const name = parts.join('-').replaceAll(/[^\w-]+/g, '-')
  return ['--cpu-prof', `--cpu-prof-dir=${join(folder, name)}`]
}

export function inChild(
  spec: RunSpec,
  { env, signal, starter = [], nodeArguments = [] }: ChildSettings,
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    let result: RunResult | null = null
    let errors = ''
    const command = [...starter, process.execPath]
    const child = fork(CHILD, [JSON.stringify(spec)], {
      ...{ env, signal, execPath: command[0]!, execArgv: [...command.slice(1), ...nodeArguments] },
      killSignal: 'SIGKILL',
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('message', (message) => (result = message as RunResult))
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      if (result !== null) return resolve(result)
      const about = [spec.scenario, spec.phase, spec.contestant, JSON.stringify(spec.parameters)].join(' ')
      reject(new Error(`${about}: ended with ${code ?? killedBy}${reasonIn(errors)}\n${errors}`))
    })
  })
}

/** The innermost error that a process ended with: the report shows the first line of a failure. */
function reasonIn(errors: string): string {
  const reason = [...errors.matchAll(/^\w*Error: (.+)$/gm)].at(-1)?.[1]
  return reason === undefined ? '' : `: ${reason}`
}

/** A part of a run, in a process of its own and in the run's folder. */
export function runPhase(spec: RunSpec, phase: string): Promise<RunResult> {
  return inChild({ ...spec, phase }, { env: process.env })
}

/**
 * A part of a run whose process is killed (SIGKILL) so long after its first output. Resolves with all of its output: what
 * was in the pipe when it died is not lost.
 */
export function runKilledPhase(spec: RunSpec, phase: string, ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let errors = ''
    const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...spec, phase })], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), ms))
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      if (killedBy === 'SIGKILL') resolve(Buffer.concat(chunks).toString('latin1'))
      else
        reject(
          new Error(
            `${spec.scenario} ${phase} ${spec.contestant}: ended with ${code ?? killedBy}\n${errors}`,
          ),
        )
    })
  })
}
