/**
 * RootGuard owns what tells the root's directory from another one that lies at its path by now: somebody moved, deleted or
 * replaced it while the store was open. The lock is on the directory (I10), but files are reached by their paths; in a
 * directory that another store has opened meanwhile this one must neither write nor delete, nor read as its own what it
 * finds. So it looks before every task, before a segment is opened, and every so many commits; the first time that the directory is not there, the
 * store is told to fail. The same holds for the journal's directory: what is appended to segments that nobody would find
 * again is not durable (I1).
 *
 * Looking costs microseconds. A task that has begun is not stopped.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { FileStat, FileSystem } from './file-system.js'
import type { TaskRunner } from './task-runner.js'

const COMMITS = 64

interface Watched {
  readonly path: string
  readonly stat: FileStat
}

export class RootGuard {
  readonly #fs: FileSystem
  readonly #root: string
  readonly #watched: Watched[] = []
  readonly #onLost: (error: AgentStateError) => void
  #commits = 0
  #lost: AgentStateError | null = null

  constructor(fs: FileSystem, root: string, onLost: (error: AgentStateError) => void) {
    this.#fs = fs
    this.#root = root
    this.#onLost = onLost
    this.watch(root)
  }

  /** From now on this directory must be the one that it is. */
  watch(path: string): void {
    const stat = this.#fs.lstat(path)
    // The system may not say what it is.
    if (stat !== null) this.#watched.push({ path, stat })
  }

  /** Tasks are refused once the root is lost. */
  guardTasks(runner: TaskRunner): TaskRunner {
    return {
      run: async (task) => {
        this.#check()
        return runner.run(task)
      },
      close: () => runner.close(),
    }
  }

  /** Nothing more is opened by its path once the root is lost; what is open stays usable. */
  guardOpening(): FileSystem {
    const fs = this.#fs
    return {
      ...fs,
      open: (path, how, mode) => {
        this.#check()
        return fs.open(path, how, mode)
      },
    }
  }

  /** Under load there may be no task for seconds. */
  committed(): void {
    this.#commits = (this.#commits + 1) % COMMITS
    if (this.#commits === 0) this.#look()
  }

  #check(): void {
    this.#look()
    if (this.#lost !== null) throw this.#lost
  }

  #look(): void {
    if (this.#lost === null) {
      const lost = this.#watched.find((watched) => this.#isLost(watched))
      if (lost !== undefined) {
        const what = lost.path === this.#root ? 'the root' : 'a directory of the store'
        const message = `${what} was moved, deleted or replaced while it was open: ${lost.path}`
        this.#lost = stateError('ROOT_UNUSABLE', message, { path: lost.path })
        this.#onLost(this.#lost)
      }
    }
  }

  #isLost({ path, stat: { dev, ino } }: Watched): boolean {
    try {
      const found = this.#fs.lstat(path)
      return found === null || found.dev !== dev || found.ino !== ino
    } catch {
      // What is there can't be told; whatever is done next will fail, and say why.
      return false
    }
  }
}
