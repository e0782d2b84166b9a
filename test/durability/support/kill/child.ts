/** A process that opens a store, does what it is told, reports every acknowledgement, and dies where it is told to. */
import { v4 as uuidv4 } from 'uuid'
import { fileBackend } from '../../../../src/backend/file/file-backend.js'
import { acquireRootLock } from '../../../../src/backend/file/root-lock.js'
import { WorkerPools } from '../../../../src/backend/file/task-runner.js'
import { AgentStateError } from '../../../../src/errors.js'
import { openStore } from '../../../../src/store.js'
import { execute, isOrdinaryRefusal } from '../execute.js'
import { Unit } from '../history.js'
import { killSwitch } from './kill-switch.js'
import { readJob, report } from './report.js'

const { root, workerUrl, steps, plan, listSteps } = readJob()

const fs = killSwitch({
  root,
  plan,
  thread: 'main',
  onStep: (name) => listSteps && report({ kind: 'step', thread: 'main', name }),
})
const backend = fileBackend(
  {
    kind: 'file',
    root,
    ownerWaitMs: 0,
    workers: 1,
    workerUrl: new URL(workerUrl),
    mode: { file: 0o600, directory: 0o700 },
  },
  {
    fs,
    acquireLock: acquireRootLock,
    runner: (workers, url) => new WorkerPools(workers, url),
    newStoreId: uuidv4,
  },
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
