/**
 * `npm run test:torture -- --seed N --minutes M`: the tests that look at random cases, from another seed than the fixed one
 * of `npm test`, for M minutes altogether. What tries everything there is, once, comes first and gets half of the time at
 * most; the rest is shared by the kinds that go on with one seed after the other. What runs when the time is over has half
 * a minute to come to its end, and is cut off then.
 *
 * --only KIND   this kind (see test/torture/kinds.mjs) or test file, to its end; may be given several times
 * --test TITLE  this test only
 * --minutes 0   each test once, with one seed
 * --long        more is tried, also of each seed (--short: less); if not said, of what is tried once from ten minutes on, and
 *               of each seed from sixty
 */
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createVitest } from 'vitest/node'
import { Failures } from './torture/failures.mjs'
import { kindsNamed } from './torture/kinds.mjs'
import { addUp, inFull, minutesAndSeconds, table } from './torture/numbers.mjs'

const SECOND = 1000
const MINUTE = 60 * SECOND
const WORKERS = 2
/** For what is under way when the time is over. */
const GRACE_MS = MINUTE / 2
/** Between the seeds of one round and the next. */
const SEEDS_OF_A_ROUND = 1_000_000

const settings = readSettings()
const directory = mkdtempSync(join(tmpdir(), 'agent-state-torture-'))
const tally = join(directory, 'tally')
writeFileSync(tally, '')
const begun = performance.now()
const end = begun + settings.minutes * MINUTE
/** @type {string[]} */
const cutOff = []
let isInterrupted = false
let isOver = false

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const failures = new Failures(({ title, message, command }) =>
  say(`FAILED ${title}\n${message}\n\nrepeat it with:\n  ${command}\n`),
)
const vitest = await createVitest('test', {
  config: 'test/vitest.config.ts',
  watch: false,
  maxWorkers: WORKERS,
  reporters: [failures],
  testTimeout: (20 + 4 * settings.minutes) * MINUTE,
})
if (settings.test !== undefined) {
  vitest.setGlobalTestNamePattern(`${settings.test.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`)
}
for (const signal of ['SIGINT', 'SIGTERM']) {
  // Vitest would end the process without a word.
  process.removeAllListeners(signal)
  process.on(signal, interrupt)
}
say(`--seed ${settings.seed} --minutes ${settings.minutes}`)
const isNamed = settings.only.length > 0
const once = settings.kinds.filter(({ shares }) => shares === 0)
const shared = settings.kinds.filter(({ shares }) => shares > 0)
for (const kind of once) await run(kind, settings.seed, 0, isNamed ? Infinity : begun + (end - begun) / 2)
for (let round = 0; shared.length > 0 && (round === 0 || end - performance.now() > GRACE_MS); round++) {
  if (isInterrupted) break
  let shares = shared.reduce((sum, kind) => sum + kind.shares, 0)
  for (const kind of shared) {
    const milliseconds = (Math.max(0, end - performance.now()) * kind.shares) / shares
    shares -= kind.shares
    const seed = settings.seed + round * SEEDS_OF_A_ROUND
    await run(kind, seed, milliseconds, isNamed ? Infinity : end + GRACE_MS)
  }
}
await conclude()

/** Runs the tests of a kind; cut off at the limit, a time. */
async function run({ name, files, shares }, seed, milliseconds, limit) {
  if (isInterrupted) return
  if (settings.minutes > 0 && limit - performance.now() < SECOND) {
    cutOff.push(`${name} (not begun)`)
    return
  }
  const isLong = settings.isLong(shares > 0)
  failures.begin(seed, isLong)
  Object.assign(process.env, {
    AGENT_STATE_TALLY: tally,
    AGENT_STATE_SEED: String(seed),
    AGENT_STATE_LONG: isLong ? '1' : '0',
    AGENT_STATE_MINUTES: String((milliseconds / MINUTE) * Math.min(1, WORKERS / files.length)),
  })
  say(
    `${name}: ${milliseconds > 0 ? `${minutesAndSeconds(milliseconds)} from seed ${seed}` : `seed ${seed}`}`,
  )
  const progress = setInterval(() => say(`${name}: ${soFar()}`), (process.stdout.isTTY ? 5 : 30) * SECOND)
  const isBounded = settings.minutes > 0 && limit < Infinity
  const timer = isBounded
    ? setTimeout(() => {
        cutOff.push(name)
        void stop()
      }, limit - performance.now())
    : undefined
  try {
    failures.isIgnoring = false
    const project = vitest.getRootProject()
    await vitest.runTestSpecifications(
      files.map((file) => project.createSpecification(join(process.cwd(), file))),
    )
  } catch (error) {
    failures.add(name, [error], {})
  } finally {
    clearInterval(progress)
    clearTimeout(timer)
  }
}

function stop() {
  failures.isIgnoring = true
  return vitest.cancelCurrentRun('keyboard-input')
}

/** The first time the numbers are still told. */
function interrupt() {
  if (isInterrupted) process.exit(130)
  isInterrupted = true
  void stop()
  // Some tests can't be stopped in the middle.
  setTimeout(() => void conclude(), 2 * SECOND)
}

/** Once. */
async function conclude() {
  if (isOver) return
  isOver = true
  sumUp()
  rmSync(directory, { recursive: true, force: true })
  await Promise.race([vitest.close(), new Promise((resolve) => setTimeout(resolve, 5 * SECOND))])
  process.exit(failures.all.length > 0 ? 1 : isInterrupted ? 130 : 0)
}

function sumUp() {
  const elapsed = minutesAndSeconds(performance.now() - begun)
  const rows = [...addUp(tally)].map(([what, count]) => [what, inFull(count)])
  const how = isInterrupted ? ', interrupted' : ''
  say(`${failures.passed} tests passed, ${failures.all.length} failed, seed ${settings.seed}${how}\n`)
  process.stdout.write(`${table([['what', 'count'], ['minutes and seconds', elapsed], ...rows])}\n`)
  if (cutOff.length > 0) process.stdout.write(`cut off, since the time was over: ${cutOff.join(', ')}\n`)
  for (const { title, command } of failures.all) process.stdout.write(`FAILED ${title}\n  ${command}\n`)
}

function soFar() {
  const counts = [...addUp(tally)].map(([what, count]) => `${inFull(count)} ${what}`)
  const [title] = failures.running
  return [title, `${failures.passed} tests passed, ${failures.all.length} failed`, ...counts]
    .filter((part) => part !== undefined)
    .join(' · ')
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`[${minutesAndSeconds(performance.now() - begun)}] ${text}\n`)
}

function readSettings() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      minutes: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      test: { type: 'string' },
      long: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
    },
  })
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)]
  if (!Number.isSafeInteger(seed) || seed < 0 || !(minutes >= 0)) {
    throw new RangeError('--seed is a whole number, --minutes a number')
  }
  if (values.long && values.short) throw new RangeError('it is either --long or --short')
  /** @param {boolean} hasShare Of the time: then more of each seed is at the cost of other seeds. */
  const isLong = (hasShare) => values.long || (!values.short && minutes >= (hasShare ? 60 : 10))
  return { seed, minutes, isLong, only: values.only, test: values.test, kinds: kindsNamed(values.only) }
}
