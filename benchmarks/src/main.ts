/**
 * `npm run bench`: runs the scenarios, keeps their results as JSON, and makes the report and the plots from them.
 */
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { machineFacts, memoryFileSystem } from '../../dist/bench/machine.js'
import { progressBar, statusLine } from '../../dist/cli/status-line.js'
import { contestantOf } from './contestants/index.js'
import { isInstalled, rivalsFolder } from './contestants/load-rival.js'
import { buildFlushShim } from './harness/flush-shim.js'
import { PROFILES, type Profile } from './harness/profile.js'
import { readResults, RESULTS, resultsName, writeResults } from './harness/results.js'
import { runScenario } from './harness/run-scenario.js'
import type { Cell, Scenario } from './harness/scenario.js'
import { SCENARIOS } from './scenarios/index.js'

interface Options {
  readonly only?: readonly string[]
  readonly contestants?: readonly string[]
  readonly profile: Profile['name']
  readonly quick?: true
  readonly repetitions?: number
  readonly seconds?: number
  readonly flushDelayMs?: readonly number[]
  readonly root: string
  readonly results: string
  readonly seed: number
  readonly resume?: true
  readonly rivals: boolean
  readonly report: boolean
  readonly reportOnly?: true
  readonly list?: true
}

/** Starting a process, opening, warming up, removing the folder. */
const RUN_OVERHEAD_SECONDS = 0.9
const DELAYS_MS = [0, 1, 5]

const program = new Command('bench')
  .description('Measures agent-state, its rivals and the floor; writes benchmarks/results and the report.')
  .option('--only <names>', `only these scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}`, list)
  .option('--contestants <names>', 'only these contestants', list)
  .option('--profile <name>', 'full, quick or tiny', 'full')
  .option('--quick', 'a first look in minutes: the same as --profile quick')
  .option('--repetitions <n>', 'runs of each cell (full: 7)', positive)
  .option('--seconds <s>', 'length of a measured run', positive)
  .option(
    '--flush-delay-ms <list>',
    'slow every flush by this (default: 0, and 1 and 5 where marked)',
    numbers,
  )
  .option('--root <dir>', 'the disk to measure', fileURLToPath(new URL('../dist/data', import.meta.url)))
  .option('--results <dir>', 'where the results go', RESULTS)
  .option('--seed <n>', 'decides the order of the runs', Number, randomInt(2 ** 31))
  .option('--resume', 'leave out what has results of this commit, profile and number of repetitions')
  .option('--no-rivals', 'install and measure no rivals')
  .option('--no-report', 'make no report and no plots')
  .option('--report-only', 'make the report and the plots from the results that are there')
  .option('--list', 'print what would be run, and how long it may take')

function list(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

function numbers(text: string): number[] {
  return list(text).map((item) => {
    const value = Number(item)
    if (item === '' || !(value >= 0)) throw new InvalidArgumentError('Must be numbers from 0.')
    return value
  })
}

function positive(text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new InvalidArgumentError('Must be a number above 0.')
}

interface Step {
  readonly scenario: Scenario
  readonly flushDelayMs: number
  readonly cells: readonly Cell[]
  readonly repetitions: number
  readonly estimateSeconds: number
}

async function main(): Promise<void> {
  const options = program.parse().opts<Options>()
  const profile = profileOf(options)
  if (options.reportOnly === true) return makeReport(options)
  const steps = stepsOf(options, profile)
  if (options.list === true) return void process.stdout.write(describe(steps))
  if (options.rivals) install(rivalsFolder, 'the rivals')
  await mkdir(options.root, { recursive: true })
  await measure(options, profile, steps)
  if (options.report) await makeReport(options)
}

function profileOf({ profile, quick, repetitions, seconds }: Options): Profile {
  const chosen = PROFILES[quick === true ? 'quick' : profile]
  if (chosen === undefined) throw new TypeError(`there is no profile ${profile}`)
  return {
    ...chosen,
    ...(repetitions === undefined ? {} : { repetitions }),
    ...(seconds === undefined ? {} : { seconds }),
  }
}

function stepsOf(options: Options, profile: Profile): Step[] {
  const { only, contestants, flushDelayMs = DELAYS_MS } = options
  for (const name of only ?? []) {
    if (!SCENARIOS.some((scenario) => scenario.name === name))
      throw new TypeError(`there is no scenario ${name}`)
  }
  const steps = SCENARIOS.filter(({ name }) => only?.includes(name) ?? true).flatMap((scenario) =>
    flushDelayMs
      .filter((delay) => delay === 0 || scenario.slowed === true || options.flushDelayMs !== undefined)
      .map((delay) => {
        const cells = scenario
          .cells(profile, delay)
          .filter(({ contestant }) => contestants?.includes(contestant) ?? true)
          .filter(({ contestant }) => options.rivals || contestantOf(contestant).rival === undefined)
        const repetitions = scenario.repetitions?.(profile.repetitions) ?? profile.repetitions
        const run = profile.seconds + RUN_OVERHEAD_SECONDS + (scenario.extraSeconds ?? 0)
        const estimateSeconds = cells.length * repetitions * run
        return { scenario, flushDelayMs: delay, cells, repetitions, estimateSeconds }
      }),
  )
  return steps.filter(({ cells }) => cells.length > 0)
}

function describe(steps: readonly Step[]): string {
  const lines = steps.map(
    ({ scenario, flushDelayMs, cells, repetitions, estimateSeconds }) =>
      `${resultsName(scenario.name, flushDelayMs)}: ${cells.length} cells, ${repetitions} times, about ${minutes(estimateSeconds)}`,
  )
  const all = steps.reduce((sum, { estimateSeconds }) => sum + estimateSeconds, 0)
  return `${lines.join('\n')}\nin all about ${minutes(all)}\n`
}

function minutes(seconds: number): string {
  return `${(seconds / 60).toFixed(1)} minutes`
}

/** Native modules of the rivals are compiled where no prebuilt one can be had: that takes minutes, once. */
function install(folder: string, what: string): void {
  if (isInstalled('lmdb') && folder === rivalsFolder) return
  process.stderr.write(`installing ${what} (once)\n`)
  execFileSync('npm', ['ci'], { cwd: folder, stdio: ['ignore', 2, 2] })
}

async function measure(options: Options, profile: Profile, steps: readonly Step[]): Promise<void> {
  const inMemory = await memoryFileSystem(options.root)
  if (inMemory !== null) {
    throw new Error(`${options.root} is on ${inMemory}: nothing is durable there. Choose a disk with --root.`)
  }
  const root = await mkdtemp(join(resolve(options.root), 'bench-'))
  const shim = buildFlushShim()
  if (shim === null) process.stderr.write('no C compiler: flushes are neither counted nor slowed\n')
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort(new Error('interrupted')))
  process.stderr.write(`--seed ${options.seed}\n${describe(steps)}`)
  try {
    for (const step of steps) {
      if (step.flushDelayMs > 0 && shim === null) continue
      await measureStep(step, { options, profile, root, shim, signal: abort.signal })
    }
  } finally {
    shim?.remove()
    await rm(root, { recursive: true, force: true })
  }
}

interface Setting {
  readonly options: Options
  readonly profile: Profile
  readonly root: string
  readonly shim: ReturnType<typeof buildFlushShim>
  readonly signal: AbortSignal
}

async function measureStep(step: Step, { options, profile, root, shim, signal }: Setting): Promise<void> {
  const { scenario, flushDelayMs, cells, repetitions } = step
  const name = resultsName(scenario.name, flushDelayMs)
  const commit = commitOf()
  if (options.resume === true) {
    const known = await readResults(options.results, name)
    const isSame = known?.commit === commit && known.profile === profile.name
    if (isSame && (known.cells[0]?.runs['perSecond']?.length ?? 0) >= repetitions) return
  }
  const status = statusLine(process.stderr)
  const begin = performance.now()
  const results = await runScenario({
    ...{
      scenario,
      cells,
      repetitions,
      profile,
      flushDelayMs,
      seed: options.seed,
      commit,
      root,
      shim,
      signal,
    },
    machine: await machineFacts(root),
    onRun: (cell, done, total) => {
      const spent = (performance.now() - begin) / 1000
      const left = done === 0 ? step.estimateSeconds : (spent / done) * (total - done)
      const what = `${cell.contestant} ${Object.values(cell.parameters).join(' ')}`
      status.update(`${name} ${progressBar(done, total)} ${done} of ${total}, ${minutes(left)} left: ${what}`)
    },
    onRound: (sofar) => writeResults(options.results, sofar),
  })
  status.note(`${name}: ${minutes((performance.now() - begin) / 1000)}, ${results.failures.length} failed`)
  for (const failure of results.failures) status.note(failure)
  status.end()
  if (results.failures.length > 0) process.exitCode = 1
}

function commitOf(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes'
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`
  } catch {
    return 'unknown'
  }
}

async function makeReport(_options: Options): Promise<void> {}

await main()
