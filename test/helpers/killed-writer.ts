/** A child process that writes until it is killed, and what it said before. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { countOf } from './tally.js'

const WRITER = fileURLToPath(new URL('../fixtures/kill-writer.mjs', import.meta.url))

export interface Said {
  /** Namespaces that were made or found. */
  readonly made: ReadonlySet<string>
  /** Revision of every operation that was acknowledged, by index; 0 where there is none. */
  readonly acknowledged: ReadonlyMap<number, number>
  readonly refused: ReadonlySet<number>
  /** Operations under way at most: so many may have been asked for besides those that were answered. */
  readonly inFlight: number
}

export interface KillPlan {
  readonly root: string
  readonly seed: number
  readonly first: number
  readonly inFlight: number
  /** Killed as soon as it has said so many lines. */
  readonly lines: number
}

export async function runUntilKilled(plan: KillPlan): Promise<Said> {
  const { root, seed, first, inFlight } = plan
  const child = spawn(process.execPath, [WRITER, root, `${seed}`, `${first}`, `${inFlight}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const made = new Set<string>()
  const acknowledged = new Map<number, number>()
  const refused = new Set<number>()
  let lines = 0
  for await (const line of createInterface({ input: child.stdout })) {
    lines += 1
    if (lines >= plan.lines) child.kill('SIGKILL')
    const [what, one, two] = line.split(' ')
    if (what === 'made') made.add(one!)
    else if (what === 'ack') acknowledged.set(Number(one), Number(two))
    else if (what === 'refused') refused.add(Number(one))
    else if (what !== 'opening') {
      child.kill('SIGKILL')
      throw new Error(`the writer said: ${line}`)
    }
  }
  const [code, signal] = (await ended) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself: code ${code}, signal ${signal}`)
  countOf('processes killed', 1)
  return { made, acknowledged, refused, inFlight }
}
