import { errorCode, syncDirectory, type FileSystem } from './file-system.js'
import type { TaskFailure } from './tasks.js'

/** Index that stands for the namespace itself in the results of a task. */
export const NAMESPACE = -1

/** Owns what became of the operations of one task: those that failed, each with its first error. */
export class OperationResults {
  readonly #failures = new Map<number, TaskFailure>()

  /** Runs a step unless the operation failed before; what the step throws is the operation's failure. */
  attempt(index: number, step: () => void): boolean {
    if (this.hasFailed(index)) return false
    try {
      step()
      return true
    } catch (error) {
      this.fail(index, error)
      return false
    }
  }

  hasFailed(index: number): boolean {
    return this.#failures.has(index)
  }

  fail(index: number, error: unknown): void {
    if (this.hasFailed(index)) return
    const message = error instanceof Error ? error.message : String(error)
    this.#failures.set(index, { index, code: errorCode(error), message })
  }

  failures(): TaskFailure[] {
    return [...this.#failures.values()].sort((a, b) => a.index - b.index)
  }
}

/** Owns the directories to sync at the end of a phase, each once, and whose success depends on which. */
export class DirectorySyncs {
  readonly #dependents = new Map<string, Set<number>>()

  add(directory: string, index: number): void {
    const found = this.#dependents.get(directory)
    if (found === undefined) this.#dependents.set(directory, new Set([index]))
    else found.add(index)
  }

  /** Those that depend on a directory whose sync fails fail with it. */
  run(fs: FileSystem, results: OperationResults): void {
    for (const [directory, indexes] of this.#dependents) {
      try {
        syncDirectory(fs, directory)
      } catch (error) {
        for (const index of indexes) results.fail(index, error)
      }
    }
    this.#dependents.clear()
  }
}
