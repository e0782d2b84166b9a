/** The file with the log of past conflicts, as the coordinator has it read and replaced: by a worker. */
import { stateError } from '../../errors.js'
import { wallClockMs } from '../../clock.js'
import { storeLayout } from './layout.js'
import type { TaskRunner } from './task-runner.js'
import type { RootContext } from './tasks.js'

export class PastConflicts {
  readonly #runner: TaskRunner
  readonly #context: RootContext
  readonly #hasFailed: () => boolean

  constructor(runner: TaskRunner, context: RootContext, hasFailed: () => boolean) {
    this.#runner = runner
    this.#context = context
    this.#hasFailed = hasFailed
  }

  async load(): Promise<readonly string[]> {
    const { failure, lines } = await this.#runner.run({ kind: 'load-conflicts', context: this.#context })
    if (failure !== null)
      throw stateError('READ_FAILED', failure.message, { path: storeLayout(this.#context.root).conflicts })
    return lines
  }

  /** Nothing of a store that has failed is written any more. */
  async save(lines: readonly string[]): Promise<void> {
    if (this.#hasFailed()) return
    const task = { kind: 'save-conflicts', context: this.#context, lines, atMs: wallClockMs() } as const
    const { failure } = await this.#runner.run(task)
    if (failure !== null) throw new Error(failure.message)
  }
}
