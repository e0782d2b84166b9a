/**
 * Before every test file: fast-check's seed, for properties that do not name one themselves; in a long run, more cases. After
 * a test that failed, the seed is named: also of those that draw from it once and do not say so themselves.
 */
import fc from 'fast-check'
import { afterEach } from 'vitest'
import { FIXED_SEED } from './fuzz-settings.js'

const { AGENT_STATE_SEED, AGENT_STATE_LONG } = process.env
const seed = Number(AGENT_STATE_SEED ?? FIXED_SEED)

fc.configureGlobal({ seed, ...(AGENT_STATE_LONG === '1' ? { numRuns: 2000 } : {}) })

afterEach(({ task }) => {
  if (task.result?.state !== 'fail' || task.meta.failedSeed !== undefined) return
  process.stderr.write(`${task.name}: repeat it with AGENT_STATE_SEED=${seed}\n`)
})
