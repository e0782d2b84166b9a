/** One run: a fresh process, a fresh folder, and nothing of either is left. */
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FlushShim } from './flush-shim.js'
import type { Profile } from './profile.js'
import type { Cell, RunResult, RunSpec } from './scenario.js'

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

export interface RunSettings {
  readonly scenario: string
  readonly profile: Profile
  /** Where the folder is made. */
  readonly root: string
  readonly shim: FlushShim | null
  readonly flushDelayMs: number
  readonly signal: AbortSignal
}

export async function runCell(cell: Cell, settings: RunSettings): Promise<RunResult> {
  const { scenario, profile, root, shim, flushDelayMs, signal } = settings
  const folder = await mkdtemp(join(root, 'run-'))
  try {
    const spec: RunSpec = { ...cell, scenario, profile, flushDelayMs, folder }
    return await inChild(spec, { ...process.env, ...shim?.environment(flushDelayMs) }, signal)
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function inChild(spec: RunSpec, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    let result: RunResult | null = null
    let errors = ''
    const child = fork(CHILD, [JSON.stringify(spec)], {
      env,
      signal,
      killSignal: 'SIGKILL',
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('message', (message) => (result = message as RunResult))
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      if (result !== null) return resolve(result)
      const about = `${spec.scenario}, ${spec.contestant}, ${JSON.stringify(spec.parameters)}`
      reject(new Error(`${about}: ended with ${code ?? killedBy}\n${errors}`))
    })
  })
}
