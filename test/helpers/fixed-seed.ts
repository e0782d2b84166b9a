/** Before every test file: fast-check's seed, for properties that do not name one themselves; in a long run, more cases. */
import fc from 'fast-check'
import { FIXED_SEED } from './fuzz-settings.js'

const { AGENT_STATE_SEED, AGENT_STATE_LONG } = process.env

fc.configureGlobal({
  seed: Number(AGENT_STATE_SEED ?? FIXED_SEED),
  ...(AGENT_STATE_LONG === '1' ? { numRuns: 2000 } : {}),
})
