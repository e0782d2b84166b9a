/**
 * The entry of worker threads that die when a plan tells them to: at a call of the file system in a task of some kind, or
 * before or after the task, in one of the ways in which a thread can end. The plan is a file, so that it can be changed
 * while the threads run.
 */
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { nodeFileSystem } from '../../../../dist/backend/file/file-system.js'
import { runTask } from '../../../../dist/backend/file/run-task.js'
import { fromMessage } from '../../../../dist/backend/file/task-message.js'

const planFile = process.env.AGENT_STATE_TEST_DEATHS

// oxlint-disable-next-line import/no-default-export -- piscina asks for one
export default function worker(message) {
  const task = fromMessage(message)
  const plan = readPlan()
  if (plan === null || plan.kind !== task.kind) return runTask(nodeFileSystem, task)
  let calls = 0
  const mortal = Object.fromEntries(
    Object.entries(nodeFileSystem).map(([name, call]) => [
      name,
      (...args) => {
        if (++calls === plan.call) die(plan)
        return call(...args)
      },
    ]),
  )
  const answer = runTask(mortal, task)
  // At the end, when all of it is done and nobody knows: also if the task has fewer calls than the plan asks for.
  die(plan)
  return answer
}

/** Null: it lives. Each death has added a byte to the plan's other file. */
function readPlan() {
  try {
    const plan = JSON.parse(readFileSync(planFile, 'utf8'))
    return died(plan) < plan.deaths ? plan : null
  } catch {
    return null
  }
}

function died(plan) {
  return statSync(plan.diedFile, { throwIfNoEntry: false })?.size ?? 0
}

function die(plan) {
  appendFileSync(plan.diedFile, '.')
  if (plan.way === 'exit') process.exit(0)
  if (plan.way === 'abort') process.exit(1)
  const held = []
  for (;;) held.push(Array.from({ length: 100_000 }, (_, index) => ({ index })))
}
