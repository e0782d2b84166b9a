/**
 * `npm run test:torture -- --seed N --minutes M`: the tests that look at random cases, for as long as is wanted and from
 * another seed than the fixed one of `npm test`. Each kind of test of the durability folder goes on for M minutes; the
 * property tests and histories look at M times as many cases. Every failure names the seed that repeats it.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    minutes: { type: 'string', default: '1' },
  },
})
const [seed, minutes] = [Number(values.seed), Number(values.minutes)]
if (!Number.isSafeInteger(seed) || seed < 0 || !(minutes > 0)) {
  throw new RangeError('--seed is a whole number, --minutes a number above 0')
}
process.stdout.write(`--seed ${seed} --minutes ${minutes}\n`)

const vitest = [
  'vitest',
  'run',
  '--config',
  'test/vitest.config.ts',
  `--testTimeout=${(10 + 5 * minutes) * 60_000}`,
]
const folders = ['test/durability', 'test/damage', 'test/hostile', 'test/store']
const child = spawn('npx', [...vitest, ...folders], {
  stdio: 'inherit',
  env: {
    ...process.env,
    AGENT_STATE_TORTURE_SEED: String(seed),
    AGENT_STATE_TORTURE_MINUTES: String(minutes),
    AGENT_STATE_SEED: String(seed),
    AGENT_STATE_RUNS: String(Math.max(1, minutes)),
  },
})
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
