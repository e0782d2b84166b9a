/** Before every test file: fast-check's seed, for properties that do not name one themselves. */
import fc from 'fast-check'
import { FIXED_SEED } from './fuzz-settings.js'

fc.configureGlobal({ seed: Number(process.env['AGENT_STATE_SEED'] ?? FIXED_SEED) })
