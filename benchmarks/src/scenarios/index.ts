import type { Scenario } from '../harness/scenario.js'
import { distinct } from './distinct.js'
import { hotSet } from './hot-set.js'

/** In the order in which they are run and shown. */
export const SCENARIOS: readonly Scenario[] = [distinct, hotSet]
