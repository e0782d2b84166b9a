/** A runner of tasks that a test answers in the worker's place. */
import { deferred, nextTurn } from '../../../src/contract/observe.js'
import type { TaskRunner } from '../../../src/backend/file/task-runner.js'
import type {
  MaterializeAnswer,
  MaterializeTask,
  Task,
  TaskAnswers,
} from '../../../src/backend/file/tasks.js'

/** A task that waits for the test. */
export interface HeldTask<T extends Task = Task> {
  readonly task: T
  answer(answer: TaskAnswers[T['kind']]): void
  fail(error: unknown): void
}

export const DONE: MaterializeAnswer = { failures: [], preserved: [] }

export class ScriptedRunner implements TaskRunner {
  /** Tasks that nobody has answered yet, in the order of the calls. */
  readonly held: HeldTask[] = []
  isClosed = false
  /** Answers at once where it does not give undefined. */
  script: (task: Task) => unknown = () => undefined

  run<K extends Task['kind']>(task: Extract<Task, { kind: K }>): Promise<TaskAnswers[K]> {
    const scripted = this.script(task)
    if (scripted !== undefined) return Promise.resolve(scripted as TaskAnswers[K])
    const { promise, resolve, reject } = deferred<TaskAnswers[K]>()
    this.held.push({ task, answer: (answer) => resolve(answer as TaskAnswers[K]), fail: reject })
    return promise
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  /** The next task, which must be there; it is the test's to answer. */
  next<K extends Task['kind']>(kind: K): HeldTask<Extract<Task, { kind: K }>> {
    const held = this.held.shift()
    if (held?.task.kind !== kind)
      throw new Error(`expected a task '${kind}', found ${held?.task.kind ?? 'none'}`)
    return held as unknown as HeldTask<Extract<Task, { kind: K }>>
  }

  nextMaterialize(): HeldTask<MaterializeTask> {
    return this.next('materialize')
  }

  /** Answers all tasks to come until there are none. */
  async drain(answer: (task: Task) => unknown = () => DONE): Promise<void> {
    for (let idle = 0; idle < 5;) {
      await nextTurn()
      const held = this.held.shift()
      idle = held === undefined ? idle + 1 : 0
      held?.answer(answer(held.task) as never)
    }
  }
}
