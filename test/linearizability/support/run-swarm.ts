/** The test's side of a swarm: starts its process, kills it after so many calls, and reads what was noted. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseNotes, type Note } from './history.js'
import type { SwarmJob } from './swarm.mjs'

const SWARM = fileURLToPath(new URL('swarm.mjs', import.meta.url))

/** `dots`: killed as soon as it has said so many; null: it comes to its end. Says whether it was killed. */
export async function runSwarm(job: SwarmJob, dots: number | null): Promise<boolean> {
  const child = spawn(process.execPath, [SWARM, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = 0
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.length
    if (dots !== null && said >= dots) child.kill('SIGKILL')
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the swarm ended with ${code ?? signal}: ${stderr}`)
  return signal === 'SIGKILL'
}

export function notesIn(path: string): Note[] {
  return parseNotes(readFileSync(path, 'utf8'))
}
