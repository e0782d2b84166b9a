/**
 * RootGuard owns what tells the root's directory from another one that lies at its path by now: somebody moved, deleted or
 * replaced it while the store was open. The lock is on the directory (I10), but files are reached by their paths; in a
 * directory that another store has opened meanwhile this one must neither write nor delete, nor read as its own what it
 * finds. So it looks before every task and before a segment is opened; the first time that the directory is not there, the
 * store is told to fail.
 *
 * Looking costs microseconds. A task that has begun is not stopped.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { FileStat, FileSystem } from './file-system.js'
import type { TaskRunner } from './task-runner.js'

export class RootGuard {
  readonly #fs: FileSystem
  readonly #root: string
  /** Null: the system does not say. */
  readonly #expected: FileStat | null
  readonly #onLost: (error: AgentStateError) => void
  #lost: AgentStateError | null = null

  constructor(fs: FileSystem, root: string, onLost: (error: AgentStateError) => void) {
    this.#fs = fs
    this.#root = root
    this.#expected = fs.lstat(root)
    this.#onLost = onLost
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

  #check(): void {
    if (this.#lost === null && this.#isLost()) {
      const message = `the root was moved, deleted or replaced while it was open: ${this.#root}`
      this.#lost = stateError('ROOT_UNUSABLE', message, { path: this.#root })
      this.#onLost(this.#lost)
    }
    if (this.#lost !== null) throw this.#lost
  }

  #isLost(): boolean {
    if (this.#expected === null) return false
    const { dev, ino } = this.#expected
    try {
      const found = this.#fs.lstat(this.#root)
      return found === null || found.dev !== dev || found.ino !== ino
    } catch {
      // What is there can't be told; whatever is done next will fail, and say why.
      return false
    }
  }
}
