/** Runs steps one after another on one disk, shows how far it is, and keeps the results. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { machineFacts, memoryFileSystem } from '../../../dist/bench/machine.js'
import { statusLine } from '../../../dist/cli/status-line.js'
import { buildFlushShim, type FlushShim } from './flush-shim.js'
import { readResults, resultsName, writeResults } from './results.js'
import { runScenario } from './run-scenario.js'
import { inMinutes, planOf, stepOf, type Selection, type Step } from './steps.js'

export interface MeasureOptions extends Selection {
  /** On the disk to measure. */
  readonly root: string
  readonly results: string
  readonly seed: number
  /** Leaves out what has results of this commit, profile and number of repetitions. */
  readonly resume: boolean
  /** Where CPU profiles are kept. */
  readonly cpuProfiles?: string | undefined
}

/** Returns the number of runs that failed. */
export async function measureSteps(options: MeasureOptions): Promise<number> {
  await mkdir(options.root, { recursive: true })
  const inMemory = await memoryFileSystem(options.root)
  if (inMemory !== null) {
    throw new Error(`${options.root} is on ${inMemory}: nothing is durable there. Choose a disk with --root.`)
  }
  const root = await mkdtemp(join(resolve(options.root), 'bench-'))
  // What runs was built before: a commit that comes meanwhile is not what is measured.
  const commit = commitOf()
  const shim = buildFlushShim()
  if (shim === null) process.stderr.write('no C compiler: flushes are neither counted nor slowed\n')
  const abort = new AbortController()
  const interrupt = (): void => abort.abort(new Error('interrupted'))
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  let failures = 0
  try {
    for (const { scenario, flushDelayMs } of planOf(options)) {
      if (flushDelayMs > 0 && shim === null) continue
      const batches = await readResults(options.results, 'batches')
      const step = stepOf(scenario, flushDelayMs, options, batches)
      failures += await measureStep(step, options, { root, shim, commit, signal: abort.signal })
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    shim?.remove()
    await rm(root, { recursive: true, force: true, maxRetries: 3 })
  }
  return failures
}

interface Place {
  readonly root: string
  readonly commit: string
  readonly shim: FlushShim | null
  readonly signal: AbortSignal
}

async function measureStep(step: Step, options: MeasureOptions, place: Place): Promise<number> {
  const { scenario, flushDelayMs, cells, repetitions, estimateSeconds } = step
  if (cells.length === 0) return 0
  const name = resultsName(scenario.name, flushDelayMs)
  const status = statusLine(process.stderr)
  if (options.resume && (await isDone(name, step, options, place.commit))) {
    status.note(`${name}: is there`)
    return 0
  }
  const begin = performance.now()
  const results = await runScenario({
    ...{ scenario, cells, repetitions, flushDelayMs, profile: options.profile, seed: options.seed },
    cpuProfiles: options.cpuProfiles,
    ...place,
    machine: await machineFacts(place.root),
    onRun: (cell, done, total) => {
      const spent = (performance.now() - begin) / 1000
      const left = done === 0 ? estimateSeconds : (spent / done) * (total - done)
      const what = `${cell.contestant} ${Object.values(cell.parameters).join(' ')}`
      status.bar(done, total, `${name}: ${done} of ${total}, ${inMinutes(left)} left: ${what}`)
    },
    onRound: (sofar) => writeResults(options.results, sofar),
  })
  status.note(`${name}: ${inMinutes((performance.now() - begin) / 1000)}, ${results.failures.length} failed`)
  for (const failure of results.failures) status.note(failure)
  status.end()
  return results.failures.length
}

async function isDone(name: string, step: Step, options: MeasureOptions, commit: string): Promise<boolean> {
  const known = await readResults(options.results, name)
  if (known === null || known.commit !== commit || known.profile !== options.profile.name) return false
  return known.isComplete && known.repetitions >= step.repetitions && known.failures.length === 0
}

function commitOf(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
    const changed = git('status', '--porcelain', '--', 'src', 'benchmarks/src') === '' ? '' : ' with changes'
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`
  } catch {
    return 'unknown'
  }
}
