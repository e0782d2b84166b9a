import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openContents } from './contents.js'
import { writeGitTrace } from './git-history.js'
import { InputError, messageOf } from './input-error.js'
import { planKills } from './kill-plan.js'
import type { Source } from './messages.js'
import { readOutline } from './outline.js'
import { makePlan, type Plan } from './plan.js'
import { makeReport, type Report } from './report.js'
import { supervise, type SupervisionProgress } from './supervisor.js'
import { readTrace, type Commit } from './trace.js'
import { verifyTree, type Verification } from './verify.js'

export interface ReplayOptions {
  /** A git repository or a trace file; default: the trace that comes with the package. */
  readonly path?: string | undefined
  /** Where the store is to be; must be empty or missing. Default: a temporary folder, removed if all is verified. */
  readonly root?: string | undefined
  /** Only so many commits. */
  readonly limit?: number | undefined
  readonly kills: number
  /** Decides when the kills come. Default: a random one. */
  readonly seed?: number | undefined
  /** Commits under way at once. */
  readonly inFlight: number
  /** Threads that the agents live in; 0: the store's own. */
  readonly threads: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined
}

export type ReplayProgress =
  SupervisionProgress | { readonly type: 'reading' } | { readonly type: 'verifying' }

const DEFAULT_TRACE = fileURLToPath(new URL('./fixtures/agents-755.ndjson.gz', import.meta.url))
const SEEDS = 2 ** 31

/**
 * Replays a history in processes that are killed in the middle, and verifies what is left. An abort while it is replayed ends
 * with a report of what was done until then; before and afterwards it rejects with the signal's reason.
 */
export async function replay(options: ReplayOptions): Promise<Report> {
  const workFolder = await mkdtemp(join(tmpdir(), 'agent-state-replay-'))
  let keepWorkFolder = false
  try {
    const root = await prepareRoot(options.root ?? join(workFolder, 'root'))
    const report = await replayInto(root, workFolder, options)
    keepWorkFolder = !report.ok && options.root === undefined && options.signal?.aborted !== true
    return report
  } finally {
    if (!keepWorkFolder) await rm(workFolder, { recursive: true, force: true })
  }
}

async function replayInto(root: string, workFolder: string, options: ReplayOptions): Promise<Report> {
  const { signal, onProgress } = options
  const seed = options.seed ?? randomInt(SEEDS)
  onProgress?.({ type: 'reading' })
  const { source, skipped } = await openSource(options, workFolder)
  const commits = (): AsyncGenerator<Commit> =>
    unlessAborted(readTrace(source.trace, source.limit ?? Infinity), signal)
  const outline = await readOutline(commits())
  const plan = await makePlan(outline, commits())

  const begin = performance.now()
  const kills = planKills(seed, options.kills, plan.totals.batches)
  const job = { source, root, limits: plan.limits, inFlight: options.inFlight, threads: options.threads }
  const supervised = await supervise({ job, batches: plan.batches, kills, signal, onProgress })
  const seconds = (performance.now() - begin) / 1000

  onProgress?.({ type: 'verifying' })
  const verification = supervised.failure === null ? await verify(root, plan, source, signal) : null
  return makeReport({
    source: options.path ?? 'agents-755',
    root,
    seed,
    outline,
    plan,
    skipped: [...skipped, ...plan.skipped],
    supervised,
    threads: options.threads,
    seconds,
    verification,
  })
}

/** What takes long ends between two commits. */
async function* unlessAborted(
  commits: AsyncIterable<Commit>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Commit> {
  for await (const commit of commits) {
    signal?.throwIfAborted()
    yield commit
  }
}

async function verify(
  root: string,
  plan: Plan,
  source: Source,
  signal: AbortSignal | undefined,
): Promise<Verification> {
  const contents = openContents(source.repository)
  try {
    return await verifyTree(root, plan.head, contents, signal)
  } finally {
    contents.close()
  }
}

/** A root that holds something already may be somebody's state. */
async function prepareRoot(path: string): Promise<string> {
  const root = resolve(path)
  try {
    await mkdir(root, { recursive: true })
    if ((await readdir(root)).length === 0) return root
  } catch (error) {
    throw new InputError(`${root} can't be used: ${messageOf(error)}`, { cause: error })
  }
  throw new InputError(`${root} is not empty; give a new or an empty folder as --root`)
}

interface OpenedSource {
  readonly source: Source
  readonly skipped: Iterable<string>
}

/** A folder is a git repository, whose history becomes a trace first; anything else is a trace. */
async function openSource({ path, limit, signal }: ReplayOptions, workFolder: string): Promise<OpenedSource> {
  if (path === undefined) return fromTrace(DEFAULT_TRACE, limit)
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    (error: unknown) => {
      throw new InputError(`${path} can't be read: ${messageOf(error)}`, { cause: error })
    },
  )
  if (!isFolder) return fromTrace(path, limit)
  const trace = join(workFolder, 'history.ndjson')
  const { skipped } = await writeGitTrace(path, trace, limit ?? Infinity, signal)
  return { source: { trace, limit: null, repository: resolve(path) }, skipped }
}

function fromTrace(path: string, limit: number | undefined): OpenedSource {
  return { source: { trace: resolve(path), limit: limit ?? null, repository: null }, skipped: [] }
}
