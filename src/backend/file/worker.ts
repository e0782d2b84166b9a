/** The entry of a worker thread: dispatch only. */
import { nodeFileSystem } from './file-system.js'
import { runTask } from './run-task.js'
import type { Task, TaskAnswers } from './tasks.js'

export default function worker(task: Task): TaskAnswers[Task['kind']] {
  return runTask(nodeFileSystem, task)
}
