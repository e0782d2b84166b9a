import { CONTESTANTS } from '../contestants/index.js'
import { choose } from '../harness/profile.js'
import { medianOf, type Results } from '../harness/results.js'
import { combinations, numberOf, type CellContext, type Scenario } from '../harness/scenario.js'
import { distinctKeys, measureWrites, settingsOf, warmUpKeys } from '../harness/writes.js'
import { DURABLE, fits, RATE_COLUMNS, someCallers } from './common.js'

/** Group sizes that are tried, as parts of the number of callers. */
const PARTS = [1, 2, 4, 8]

export const batches: Scenario = {
  name: 'batches',
  question: 'Which group size is best for the rivals that leave grouping to their user?',
  workload:
    'distinct keys in 8 namespaces; the next group forms while one is made durable. All other scenarios use the size that is fastest here for this number of callers (with slowed flushes: a group of all callers)',
  durability: DURABLE,
  repetitions: (usual) => Math.min(usual, 3),
  cells: ({ profile }) =>
    CONTESTANTS.filter(({ batched }) => batched).flatMap(({ name }) =>
      combinations({
        valueBytes: choose(profile, [256, 4096], [256]),
        callers: someCallers(profile),
      }).flatMap((parameters) => {
        const callers = numberOf(parameters, 'callers')
        const parts = parameters['valueBytes'] === 256 ? PARTS : [1, 4]
        return choose(profile, parts, [1, 4]).map((part) => ({
          contestant: name,
          parameters: { ...parameters, batch: callers / part },
        }))
      }),
    ),
  run: (spec) => {
    const { namespaces } = settingsOf(spec.parameters)
    return measureWrites(spec, {
      places: distinctKeys(namespaces),
      warmUpPlaces: warmUpKeys(namespaces),
      operationsMax: spec.profile.burstOperations,
    })
  },
  columns: [...RATE_COLUMNS, { measure: 'perSecondWithDrain', title: 'writes/s with drain' }],
  plots: [],
}

/** From what was measured, the part of the callers that makes the best group; all of them where nothing was measured. */
export function bestBatches(results: Results | null, flushDelayMs: number): CellContext['batchFor'] {
  return (contestant, parameters) => {
    const callers = numberOf(parameters, 'callers')
    if (results === null || flushDelayMs > 0) return callers
    const measured = Math.max(...someMeasured(results).filter((count) => count <= callers), 64)
    const where = {
      callers: measured,
      valueBytes: numberOf(parameters, 'valueBytes', 256) >= 4096 ? 4096 : 256,
    }
    const cells = results.cells.filter(
      (cell) => cell.contestant === contestant && fits(cell.parameters, where),
    )
    const best = cells.toSorted(
      (a, b) => (medianOf(b, 'perSecond') ?? 0) - (medianOf(a, 'perSecond') ?? 0),
    )[0]
    const part = best === undefined ? 1 : numberOf(best.parameters, 'batch') / measured
    return Math.max(1, Math.ceil(callers * part))
  }
}

function someMeasured({ cells }: Results): number[] {
  return cells.map(({ parameters }) => numberOf(parameters, 'callers'))
}
