/** The short benchmark of a user's own disk: what it does there, and that what was acknowledged is there. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { machineFacts, memoryFileSystem, nearestFolder, type MachineFacts } from './machine.js'
import { verifyKilled, type KilledReport } from './verify-killed.js'
import { measureWorkload, WORKLOADS, type Row, type Verified } from './workloads.js'

export interface BenchOptions {
  /** A folder on the disk to measure; only a folder in it is used, and removed at the end. */
  readonly root: string
  /** Of each workload. */
  readonly seconds: number
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number, what: string) => void
}

export interface BenchReport {
  readonly machine: MachineFacts
  readonly durability: string
  readonly rows: readonly Row[]
  /** After closing and opening again. */
  readonly reopened: Verified
  /** After SIGKILL. */
  readonly killed: KilledReport
  readonly ok: boolean
}

/** The disk that was asked for can't be measured. */
export class BenchInputError extends Error {
  override readonly name = 'BenchInputError'
}

const KILL_AFTER_MS_MIN = 50

export async function bench({ root, seconds, signal, onProgress }: BenchOptions): Promise<BenchReport> {
  const folder = await folderIn(root)
  const total = WORKLOADS.length + 2
  let done = 0
  try {
    onProgress(done++, total, 'the disk')
    const machine = await machineFacts(folder)
    const rows: Row[] = []
    const verified: Verified[] = []
    for (const workload of WORKLOADS) {
      signal.throwIfAborted()
      const finished = done++
      const place = join(folder, String(done))
      const measured = await measureWorkload(place, workload, seconds, signal, (step) =>
        onProgress(finished, total, `${workload.name}, ${workload.callers} callers: ${step}`),
      )
      rows.push(...measured.rows)
      verified.push(measured.verified)
      await rm(place, { recursive: true })
    }
    onProgress(done++, total, 'a process is killed')
    const killAfterMs = KILL_AFTER_MS_MIN + Math.random() * seconds * 1000
    const killed = await verifyKilled(join(folder, 'killed'), killAfterMs, signal)
    const reopened = {
      keys: verified.reduce((sum, { keys }) => sum + keys, 0),
      wrong: verified.flatMap(({ wrong }) => wrong),
    }
    const ok = reopened.wrong.length === 0 && killed.wrong.length === 0
    return { machine, durability: 'journal: acknowledged = synced', rows, reopened, killed, ok }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function folderIn(root: string): Promise<string> {
  try {
    const inMemory = await memoryFileSystem(await nearestFolder(resolve(root)))
    if (inMemory !== null) {
      throw new BenchInputError(`${root} is on ${inMemory}, in memory: nothing is durable there`)
    }
    await mkdir(root, { recursive: true })
    return await mkdtemp(join(root, 'agent-state-bench-'))
  } catch (error) {
    if (error instanceof BenchInputError) throw error
    throw new BenchInputError(
      `${root} can't be used: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
