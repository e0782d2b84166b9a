import type { FileSystem } from '../../../src/backend/file/file-system.js'
import type { TaskRunner } from '../../../src/backend/file/task-runner.js'
import type { Task, TaskAnswers } from '../../../src/backend/file/tasks.js'
import { inThreadRunner } from '../../durability/support/in-thread.js'

/** Runs tasks in this thread. Those that bring something into the tree can be made to wait, or to fail. */
export class HeldRunner implements TaskRunner {
  readonly #inner: TaskRunner
  readonly #waiting: (() => void)[] = []
  #state: 'running' | 'holding' | 'refusing' = 'running'

  constructor(fs: FileSystem) {
    this.#inner = inThreadRunner(fs)
  }

  hold(): void {
    this.#state = 'holding'
  }

  release(): void {
    this.#goOn('running')
  }

  /** What is held fails, and so does all that comes later: as if the workers were gone. */
  refuse(): void {
    this.#goOn('refusing')
  }

  async run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]> {
    if (task.kind === 'materialize') {
      if (this.#state === 'holding') await new Promise<void>((resolve) => this.#waiting.push(resolve))
      if (this.#state === 'refusing') throw new Error('the worker is gone')
    }
    return this.#inner.run(task)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #goOn(state: 'running' | 'refusing'): void {
    this.#state = state
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
