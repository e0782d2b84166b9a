/** A process that opens a store, does what it is told, reports every acknowledgement, and dies where it is told to. */
import { WorkerPools } from '../../../../src/backend/file/task-runner.js'
import { AgentStateError } from '../../../../src/errors.js'
import { openStore } from '../../../../src/store.js'
import { execute, isOrdinaryRefusal } from '../execute.js'
import { Unit } from '../history.js'
import { backendOn } from '../in-thread.js'
import { killSwitch } from './kill-switch.js'
import { readJob, report } from './report.js'

const { root, workerUrl, steps, plan, listSteps } = readJob()

const fs = killSwitch({
  root,
  plan,
  thread: 'main',
  onStep: (name) => listSteps && report({ kind: 'step', thread: 'main', name }),
})
const backend = backendOn(
  root,
  { fs, runner: (workers, url) => new WorkerPools(workers, url) },
  new URL(workerUrl),
)

const store = await openStore({ backend })
for (const type of ['external', 'failed', 'warning'] as const) {
  store.events.on(type, (event) =>
    report({ kind: 'unexpected', message: `event ${type}: ${JSON.stringify(event)}` }),
  )
}
await execute(store, steps, {
  asked(change) {
    const step = steps.indexOf(change)
    report({ kind: 'asked', step })
    return new Unit(change, step, 0)
  },
  acknowledged: (unit, revision) => report({ kind: 'acknowledged', step: unit.number, revision }),
  failed(unit, error) {
    const { code, outcome } = AgentStateError.is(error) ? error : { code: String(error), outcome: 'unknown' }
    report({ kind: 'failed', step: unit?.number ?? null, code, outcome })
    if (!isOrdinaryRefusal(error))
      report({ kind: 'unexpected', message: `step ${unit?.number}: ${String(error)}` })
  },
  saw: (namespace, key, value) => report({ kind: 'saw', namespace, key, value }),
})
await store.close()
