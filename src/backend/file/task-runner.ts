/**
 * Running tasks in worker threads. `WorkerPools` owns two piscina pools: one writes, one reads, so that a read never
 * waits behind the syncs of a large materialization. A task changes nothing when it is done twice, so a task whose worker
 * died is done again by another worker; only after several deaths its failure is reported.
 */
import { Piscina } from 'piscina'
import type { Task, TaskAnswers } from './tasks.js'

export interface TaskRunner {
  run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]>
  /** Waits for what runs. */
  close(): Promise<void>
}

const ATTEMPTS = 3
const READERS = 1
const IDLE_MS = 30_000
const READING: ReadonlySet<Task['kind']> = new Set<Task['kind']>([
  'heads',
  'read',
  'scan-namespace',
  'list-namespaces',
])

export class WorkerPools implements TaskRunner {
  readonly #writers: Piscina<Task, unknown>
  readonly #readers: Piscina<Task, unknown>

  constructor(workers: number, workerUrl: URL | null) {
    const filename = (workerUrl ?? new URL('./worker.js', import.meta.url)).href
    const options = { filename, idleTimeout: IDLE_MS, concurrentTasksPerWorker: 1 }
    this.#writers = new Piscina({ ...options, minThreads: 1, maxThreads: workers })
    this.#readers = new Piscina({ ...options, minThreads: 0, maxThreads: READERS })
  }

  async run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]> {
    const pool = READING.has(task.kind) ? this.#readers : this.#writers
    for (let attempt = 1; ; attempt++) {
      try {
        return (await pool.run(task)) as TaskAnswers[K]
      } catch (error) {
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#writers.close(), this.#readers.close()])
  }
}
