/** The process of one run: takes the run from its first argument, sends the result, ends. */
import { SCENARIOS } from '../scenarios/index.js'
import type { RunSpec } from './scenario.js'

const spec = JSON.parse(process.argv[2] ?? '') as RunSpec
const scenario = SCENARIOS.find(({ name }) => name === spec.scenario)
if (scenario === undefined) throw new TypeError(`there is no scenario ${spec.scenario}`)
const work = spec.phase === undefined ? scenario.run : scenario.phases?.[spec.phase]
if (work === undefined) throw new TypeError(`${spec.scenario} has no phase ${spec.phase}`)
const result = await work(spec)
// Whatever a contestant leaves running must not keep the process.
process.send!(result, () => process.exit(0))
