import type { Scenario } from '../harness/scenario.js'
import { batches } from './batches.js'
import { distinct } from './distinct.js'
import { durability } from './durability.js'
import { events } from './events.js'
import { flushes } from './flushes.js'
import { hotSet } from './hot-set.js'
import { mixed } from './mixed.js'
import { namespaces } from './namespaces.js'
import { opening } from './opening.js'
import { openLoop } from './open-loop.js'
import { reads } from './reads.js'
import { sustained } from './sustained.js'
import { threads } from './threads.js'
import { valueSize } from './value-size.js'

/** In the order in which they are run and shown; `batches` comes first, since others use what it finds. */
export const SCENARIOS: readonly Scenario[] = [
  batches,
  durability,
  flushes,
  distinct,
  hotSet,
  namespaces,
  valueSize,
  openLoop,
  reads,
  mixed,
  threads,
  events,
  opening,
  sustained,
]
