/**
 * Running tasks in worker threads. `WorkerPools` owns the pools: one writes, one reads, so that a read never waits behind the
 * syncs of a large materialization. A task changes nothing when it is done twice, so a task whose worker died is done again
 * by another one, a read by one that has no other task; only after several deaths its failure is reported.
 */
import { Piscina } from 'piscina'
import type { TaskQueue } from 'piscina'
import { toMessage, type TaskMessage } from './task-message.js'
import type { Task, TaskAnswers } from './tasks.js'

export interface TaskRunner {
  run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]>
  /** Waits for what runs. */
  close(): Promise<void>
}

const ATTEMPTS = 3
const READERS = 1
/** One that is run, and one that the thread finds when it is done: to be woken takes as long as several reads. */
const READER_TASKS = 2
const IDLE_MS = 30_000
/** When so many threads end one after the other without an answer, it is not the tasks. */
const DEATHS_MAX = 10
/**
 * What a task leaves behind is short-lived and little; by itself the engine would let tens of MiB of it gather in every
 * thread. It bounds nothing but how often that is cleared away: a task that needs more takes it elsewhere.
 */
const THREAD_MEMORY = { maxYoungGenerationSizeMb: 6 }
const READING: ReadonlySet<Task['kind']> = new Set<Task['kind']>([
  'heads',
  'read',
  'scan-namespace',
  'list-namespaces',
  'load-conflicts',
])

export class WorkerPools implements TaskRunner {
  readonly #writers: WorkerPool
  readonly #readers: WorkerPool
  /** Reads one at a time: what was with another task when their worker died may have nothing to do with it. */
  readonly #lonelyReader: WorkerPool

  constructor(workers: number, workerUrl: URL | null) {
    const filename = (workerUrl ?? new URL('./worker-entry.cjs', import.meta.url)).href
    const common = { filename, idleTimeout: IDLE_MS, resourceLimits: THREAD_MEMORY }
    this.#writers = new WorkerPool({ ...common, minThreads: 1, maxThreads: workers })
    const reading = { ...common, minThreads: 0, maxThreads: READERS }
    this.#readers = new WorkerPool({ ...reading, concurrentTasksPerWorker: READER_TASKS })
    this.#lonelyReader = new WorkerPool(reading)
  }

  run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]> {
    return this.#run(toMessage(task)) as Promise<TaskAnswers[K]>
  }

  /** The task itself is not kept. */
  async #run(message: TaskMessage): Promise<unknown> {
    for (let deaths = 0; ;) {
      try {
        return await this.#poolFor(message.kind, deaths).run(message)
      } catch (error) {
        if (++deaths === ATTEMPTS) throw error
      }
    }
  }

  #poolFor(kind: Task['kind'], deaths: number): WorkerPool {
    if (!READING.has(kind)) return this.#writers
    return deaths === 0 ? this.#readers : this.#lonelyReader
  }

  async close(): Promise<void> {
    await Promise.all([this.#writers.close(), this.#readers.close()])
    await this.#lonelyReader.close()
  }
}

interface Asked {
  readonly message: TaskMessage
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * WorkerPool owns the threads of one kind, and the tasks that wait for one of them (I11). Threads may end at any time, and
 * where the process is out of descriptors or memory none can be made; whoever waits for a thread then is told so. What a
 * thread dies of is the task that it had: those who wait wait for the next one. A task that was rejected is never run later:
 * others may have changed by then what it is about.
 */
class WorkerPool {
  readonly #piscina: Piscina<TaskMessage, unknown>
  readonly #waiting = new WaitingTasks()
  readonly #unanswered = new Set<Asked>()
  /** A task failed since the last answer; and so many threads ended since. */
  #taskFailed = false
  #deathsInARow = 0
  #lastError: unknown = new Error('its worker thread has ended')

  constructor(options: ConstructorParameters<typeof Piscina>[0]) {
    this.#piscina = new Piscina({ ...options, taskQueue: this.#waiting })
    // A thread that ends without a task, while it starts say. Where nobody listens that ends the process.
    this.#piscina.on('error', (error: unknown) => {
      this.#lastError = error
    })
    this.#piscina.on('workerDestroy', () => setImmediate(() => this.#threadEnded()))
  }

  run(message: TaskMessage): Promise<unknown> {
    return new Promise((resolve, reject) => this.#submit({ message, resolve, reject }))
  }

  close(): Promise<void> {
    return this.#piscina.close()
  }

  #submit(asked: Asked): void {
    this.#unanswered.add(asked)
    try {
      this.#piscina
        .run(asked.message)
        .then(
          (answer) => {
            this.#taskFailed = false
            this.#deathsInARow = 0
            asked.resolve(answer)
          },
          (error: unknown) => {
            this.#taskFailed = true
            asked.reject(error)
          },
        )
        .finally(() => this.#unanswered.delete(asked))
    } catch (error) {
      // No thread could be made for it; by then it has been put behind the others that wait.
      this.#waiting.dropLast()
      this.#unanswered.delete(asked)
      asked.reject(error)
    }
  }

  /** Other tasks may wait for a thread still: the next one is only made when it is asked for. */
  #threadEnded(): void {
    if (this.#piscina.threads.length > 0) return
    const waiting = [...this.#unanswered]
    const diedOfTask = this.#taskFailed && ++this.#deathsInARow < DEATHS_MAX
    this.#unanswered.clear()
    this.#waiting.drop()
    for (const asked of waiting) {
      if (diedOfTask) this.#submit(asked)
      else asked.reject(this.#lastError)
    }
  }
}

type WaitingTask = Parameters<TaskQueue['push']>[0]

/** The queue of a pool, first come first served, from which tasks can be dropped. */
class WaitingTasks implements TaskQueue {
  readonly #tasks: WaitingTask[] = []

  get size(): number {
    return this.#tasks.length
  }

  push(task: WaitingTask): void {
    this.#tasks.push(task)
  }

  shift(): WaitingTask | null {
    return this.#tasks.shift() ?? null
  }

  remove(task: WaitingTask): void {
    const index = this.#tasks.indexOf(task)
    if (index !== -1) this.#tasks.splice(index, 1)
  }

  dropLast(): void {
    this.#tasks.pop()
  }

  drop(): void {
    this.#tasks.length = 0
  }
}
