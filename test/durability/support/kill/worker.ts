/** The entry of the child's worker threads: the store's own, with the kill switch below it. */
import { runTask } from '../../../../src/backend/file/run-task.js'
import { fromMessage, type TaskMessage } from '../../../../src/backend/file/task-message.js'
import type { Task, TaskAnswers } from '../../../../src/backend/file/tasks.js'
import { killSwitch } from './kill-switch.js'
import { readJob, report } from './report.js'

const { root, plan, listSteps } = readJob()
const fs = killSwitch({
  root,
  plan,
  thread: 'worker',
  onStep: (name) => listSteps && report({ kind: 'step', thread: 'worker', name }),
})

// oxlint-disable-next-line import/no-default-export -- piscina asks for one
export default function worker(message: TaskMessage): TaskAnswers[Task['kind']] {
  return runTask(fs, fromMessage(message))
}
