/** `npm run bench`: measures, keeps the results as JSON, and makes the report and the plots from them. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { measureSteps } from './harness/measure-steps.js'
import { PROFILES, type Profile } from './harness/profile.js'
import { readResults, RESULTS } from './harness/results.js'
import { describeSteps, planOf, stepOf, type Selection } from './harness/steps.js'
import { makeReport } from './report/make-report.js'
import { SCENARIOS } from './scenarios/index.js'

interface Options {
  readonly only?: readonly string[]
  readonly contestants?: readonly string[]
  readonly profile: string
  readonly quick?: true
  readonly repetitions?: number
  readonly seconds?: number
  readonly burst?: number
  readonly flushDelayMs?: readonly number[]
  readonly root: string
  readonly results?: string
  readonly seed: number
  readonly resume?: true
  readonly cpuProfiles?: string
  readonly rivals: boolean
  readonly report: boolean
  readonly reportOnly?: true
  readonly list?: true
}

const program = new Command('bench')
  .description('Measures agent-state, its rivals and the floor; writes benchmarks/results and the report.')
  .option('--only <names>', `only these scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}`, list)
  .option('--contestants <names>', 'only these contestants', list)
  .option('--profile <name>', Object.keys(PROFILES).join(', '), 'full')
  .option('--quick', 'a first look in minutes: the same as --profile quick')
  .option('--repetitions <n>', 'runs of each cell (default: 7, and less where runs are long)', positive)
  .option('--seconds <s>', 'length of a measured run', positive)
  .option('--burst <n>', 'writes of a burst of distinct keys', positive)
  .option(
    '--flush-delay-ms <list>',
    'slow every flush by this (default: 0, and 1 and 5 where marked)',
    numbers,
  )
  .option('--root <dir>', 'the disk to measure', fileURLToPath(new URL('data', import.meta.url)))
  .option(
    '--results <dir>',
    'where results and report go (default: benchmarks/results, if all contestants are measured in full)',
  )
  .option('--seed <n>', 'decides the order of the runs (default: random)', positive, randomInt(1, 2 ** 31))
  .option('--resume', 'leave out what has results of this commit, profile and number of repetitions')
  .option('--cpu-profiles <dir>', 'keep a CPU profile of every run; runs become slower by that')
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

async function main(): Promise<void> {
  const options = program.parse().opts<Options>()
  const { report, rivals, reportOnly, root, seed } = options
  const profile = profileOf(options)
  const results = options.results ?? resultsOf(options)
  const selection: Selection = {
    profile,
    repetitions: options.repetitions,
    only: options.only,
    contestants: options.contestants,
    flushDelaysMs: options.flushDelayMs,
    rivals,
  }
  const batches = await readResults(results, 'batches')
  const steps = planOf(selection).map(({ scenario, flushDelayMs }) =>
    stepOf(scenario, flushDelayMs, selection, batches),
  )
  if (options.list === true) return void process.stdout.write(describeSteps(steps))
  if (reportOnly !== true) {
    if (rivals) install('rivals')
    process.stderr.write(`--seed ${seed}\n${describeSteps(steps)}`)
    const failures = await measureSteps({
      ...selection,
      root,
      results,
      seed,
      resume: options.resume === true,
      cpuProfiles: options.cpuProfiles,
    })
    if (failures > 0) process.exitCode = 1
  }
  if (report) {
    install('plots')
    await makeReport(results)
  }
  process.stderr.write(`results: ${results}\n`)
}

/** What is less than the full measurement does not overwrite the results that are kept. */
function resultsOf(options: Options): string {
  const { name } = profileOf(options)
  const { contestants, rivals, repetitions, seconds, burst, cpuProfiles } = options
  const isPartial =
    [contestants, repetitions, seconds, burst, cpuProfiles].some((option) => option !== undefined) || !rivals
  if (name === 'full' && !isPartial) return RESULTS
  return fileURLToPath(new URL(`results-${name === 'full' ? 'partial' : name}/`, import.meta.url))
}

function profileOf({ profile, quick, repetitions, seconds, burst }: Options): Profile {
  const chosen = Object.values(PROFILES).find(({ name }) => name === (quick === true ? 'quick' : profile))
  if (chosen === undefined) throw new TypeError(`there is no profile ${profile}`)
  return {
    ...chosen,
    ...(repetitions === undefined ? {} : { repetitions }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(burst === undefined ? {} : { burstOperations: burst }),
  }
}

/** Packages that only benchmarks need. Native ones are compiled where no prebuilt one can be had: that takes minutes. */
function install(name: 'rivals' | 'plots'): void {
  const folder = fileURLToPath(new URL(`../${name}`, import.meta.url))
  if (existsSync(join(folder, 'node_modules/.package-lock.json'))) return
  process.stderr.write(`installing benchmarks/${name} (once)\n`)
  execFileSync('npm', ['ci'], { cwd: folder, stdio: ['ignore', 2, 2] })
}

await main()
