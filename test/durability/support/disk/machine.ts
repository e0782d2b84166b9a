/**
 * Machine is one life of a computer: from the moment it finds a disk in some state until it is killed, loses its power or
 * is simply forgotten. The store on it is the real one; disk, threads, lock and time are simulated.
 */
import type { FileSystem } from '../../../../src/backend/file/file-system.js'
import type { LockMechanism } from '../../../../src/backend/file/lock-mechanism.js'
import { acquireRootLock } from '../../../../src/backend/file/root-lock.js'
import { runTask } from '../../../../src/backend/file/run-task.js'
import type { TaskRunner } from '../../../../src/backend/file/task-runner.js'
import type { Task, TaskAnswers } from '../../../../src/backend/file/tasks.js'
import type { Limits } from '../../../../src/limits.js'
import { addToTree, type BareTree } from '../bare-tree.js'
import { backendOn, openWatched, sent, type WatchedStore } from '../in-thread.js'
import type { Random } from '../random.js'
import { Simulation } from '../simulation.js'
import { ROOT_INODE, type DiskState, type InodeId } from './disk-state.js'
import { Recording } from './recording.js'
import { SimulatedDisk } from './simulated-disk.js'

/** None of these directories is there at first. */
export const ROOT = '/srv/agents/state'
const ATTEMPTS = 3
/** A life has some hundreds: with more, something goes round in circles, a mistaken search for the journal's end, say. */
const TASKS_MAX = 10_000
const STORE_ID = '0197a1f0-0000-7000-8000-000000000001'

export class Machine {
  readonly disk: SimulatedDisk
  readonly recording: Recording
  readonly #simulation: Simulation
  readonly #fs: FileSystem
  readonly #locked = new Set<number>()
  #tasks = 0
  /** What a task waits for before it begins, besides its usual time: its worker hangs in the disk. */
  tasksHeldUntil: (kind: Task['kind']) => Promise<void> = () => Promise.resolve()
  /** Whether the worker died that a task was running in: then nobody gets its answer. */
  hasDied: (task: number) => boolean = () => false

  /** `wrap` puts something between the store and the disk. */
  constructor(state: DiskState, random: Random, wrap: (disk: SimulatedDisk) => FileSystem = (disk) => disk) {
    this.#simulation = new Simulation(random.fork('simulation'))
    this.recording = new Recording(state)
    this.disk = new SimulatedDisk(this.recording, this.#simulation)
    this.#fs = wrap(this.disk)
  }

  /** Everything that happens on this machine happens inside of this. */
  run<T>(act: () => Promise<T>): Promise<T> {
    return this.#simulation.run(act)
  }

  open(limits: Partial<Limits> = {}): Promise<WatchedStore> {
    const backend = backendOn(ROOT, {
      fs: this.#fs,
      acquireLock: (fs, request) => acquireRootLock(fs, request, [this.#lock]),
      runner: () => this.#runner(),
      newStoreId: () => STORE_ID,
    })
    return openWatched(backend, limits)
  }

  /** Until the promise resolves, no asynchronous sync is answered. */
  holdSyncs(until: Promise<void>): void {
    this.disk.syncsHeldUntil = until
  }

  readTree(): BareTree {
    return readTree(this.disk.state)
  }

  readonly #lock: LockMechanism = async (_fd, { ino }) => {
    if (this.#locked.has(ino)) return { status: 'owned' }
    this.#locked.add(ino)
    return { status: 'locked', release: () => void this.#locked.delete(ino) }
  }

  /** As `WorkerPools`: what failed is tried again, and an error loses everything but its message on the way. */
  #runner(): TaskRunner {
    const attempt = async <K extends Task['kind']>(
      task: Extract<Task, { kind: K }>,
    ): Promise<TaskAnswers[K]> => {
      const id = this.#tasks++
      if (id >= TASKS_MAX) throw new Error('there is no end of tasks')
      const copy = sent(task)
      await this.tasksHeldUntil(task.kind)
      const answer = await this.#simulation.later(() => this.#runTask(id, copy))
      return this.#simulation.later(() => {
        this.recording.answered(id)
        if (this.hasDied(id)) throw new Error('the worker died')
        return answer
      })
    }
    return {
      async run(task) {
        for (let count = 1; ; count++) {
          try {
            return await attempt(task)
          } catch (error) {
            if (count === ATTEMPTS) throw error instanceof Error ? new Error(error.message) : error
          }
        }
      },
      close: async () => {},
    }
  }

  #runTask<K extends Task['kind']>(id: number, task: Extract<Task, { kind: K }>): TaskAnswers[K] {
    this.disk.task = id
    try {
      return structuredClone(runTask(this.#fs, task))
    } finally {
      this.disk.task = null
    }
  }
}

/** The files below the root in some state of the disk. */
export function readTree(state: DiskState): BareTree {
  const tree = { files: new Map<string, Buffer>(), directories: new Set<string>(), own: new Set<string>() }
  const root = find(state, ROOT)
  if (root !== null) walk(state, root, '', tree)
  return tree
}

/** The names in a directory; none if there is none. */
export function namesIn(state: DiskState, path: string): string[] {
  const inode = find(state, path)
  return inode === null ? [] : [...state.entries(inode)].map(([name]) => name)
}

function find(state: DiskState, path: string): InodeId | null {
  let inode = ROOT_INODE
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next = state.entries(inode).get(name)
    if (next === undefined) return null
    inode = next
  }
  return inode
}

function walk(
  state: DiskState,
  directory: InodeId,
  above: string,
  tree: Parameters<typeof addToTree>[0],
): void {
  for (const [name, inode] of state.entries(directory)) {
    const path = `${above}${name}`
    const isDirectory = state.isDirectory(inode)
    addToTree(tree, path, () => (isDirectory ? null : state.file(inode).content.bytes()))
    if (isDirectory) walk(state, inode, `${path}/`, tree)
  }
}
