/** The parent's side: bundles the child and its worker, starts it, and makes a history of what it reported. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { countOf } from '../../../helpers/tally.js'
import type { Change, History, Unit } from '../history.js'
import { JOB_VARIABLE, type ChildJob, type Report } from './report.js'

const here = fileURLToPath(new URL('.', import.meta.url))
/** Below `node_modules`, so that the bundles find the packages they need. */
const CACHE = fileURLToPath(new URL('../../../../node_modules/.cache', import.meta.url))

export interface ChildProgram {
  readonly child: string
  readonly worker: URL
  remove(): void
}

export async function buildChild(): Promise<ChildProgram> {
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, 'agent-state-kill-'))
  await build({
    entryPoints: [join(here, 'child.ts'), join(here, 'worker.ts')],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    outdir: directory,
  })
  return {
    child: join(directory, 'child.mjs'),
    worker: pathToFileURL(join(directory, 'worker.mjs')),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

export interface ChildEnd {
  readonly signal: NodeJS.Signals | null
  readonly exitCode: number | null
  readonly reports: readonly Report[]
  readonly stderr: string
}

/** Resolves when the child has ended, however it did. Its job and report lie in the directory. */
export async function runChild(
  program: ChildProgram,
  job: Omit<ChildJob, 'workerUrl'>,
  directory: string,
): Promise<ChildEnd> {
  const jobFile = join(directory, 'job.json')
  writeFileSync(jobFile, JSON.stringify({ ...job, workerUrl: program.worker.href } satisfies ChildJob))
  const reportFile = join(directory, 'report')
  const reportFd = openSync(reportFile, 'w')
  const child = spawn(process.execPath, [program.child], {
    stdio: ['ignore', 'ignore', 'pipe', reportFd],
    env: { PATH: process.env['PATH'], [JOB_VARIABLE]: jobFile },
  })
  closeSync(reportFd)
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (signal === 'SIGKILL') countOf('processes killed', 1)
  const lines = readFileSync(reportFile, 'utf8').split('\n').slice(0, -1)
  return { signal, exitCode, stderr, reports: lines.map((line) => JSON.parse(line) as Report) }
}

/** Adds to the history what the child reported; returns what it should not have had to report. */
export function retell(reports: readonly Report[], steps: ChildJob['steps'], history: History): string[] {
  const units = new Map<number, Unit>()
  const unexpected: string[] = []
  for (const told of reports) {
    if (told.kind === 'asked') units.set(told.step, history.ask(steps[told.step] as Change))
    else if (told.kind === 'acknowledged') history.acknowledged(units.get(told.step)!, told.revision)
    else if (told.kind === 'saw') history.seen(told.namespace, told.key, told.value)
    else if (told.kind === 'unexpected') unexpected.push(told.message)
    else if (told.kind === 'failed' && told.step !== null) {
      if (told.outcome === 'unchanged') history.refused(units.get(told.step)!)
      else history.unknown(units.get(told.step)!, null)
    }
  }
  return unexpected
}
