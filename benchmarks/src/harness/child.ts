/** The process of one run: takes the run from its first argument, sends the result, ends. */
import { SCENARIOS } from '../scenarios/index.js'
import type { RunSpec } from './scenario.js'

const spec = JSON.parse(process.argv[2] ?? '') as RunSpec
const scenario = SCENARIOS.find(({ name }) => name === spec.scenario)
if (scenario === undefined) throw new TypeError(`there is no scenario ${spec.scenario}`)
const result = await scenario.run(spec)
// Whatever a contestant leaves running must not keep the process.
process.send!(result, () => process.exit(0))
