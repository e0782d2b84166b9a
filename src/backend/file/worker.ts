/** The entry of a worker thread: dispatch only. */
import { nodeFileSystem } from './file-system.js'
import { runTask } from './run-task.js'
import { fromMessage, type TaskMessage } from './task-message.js'
import type { Task, TaskAnswers } from './tasks.js'

export default function worker(message: TaskMessage): TaskAnswers[Task['kind']] {
  return runTask(nodeFileSystem, fromMessage(message))
}
