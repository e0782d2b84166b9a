import { Command } from 'commander'
import { formatReport } from '../replay/format-report.js'
import { InputError } from '../replay/input-error.js'
import { replay, type ReplayProgress } from '../replay/replay.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'
import { wholeNumber } from './parse-options.js'
import { runs, type CommandContext } from './run-command.js'
import type { StatusLine } from './status-line.js'

interface Options {
  readonly kills: number
  readonly seed?: number
  readonly inFlight: number
  readonly threads: number
  readonly limit?: number
}

const HELP = `
PATH is a git repository, whose HEAD is replayed, or a trace of one (.ndjson or .ndjson.gz). Without it, a trace that
comes with the package is replayed: 755 commits by 23 authors, 61 MB of contents.

Every author is an agent with an identity of its own, in one of several threads, and every top-level folder a namespace; files in no folder are in the namespace %root. The
part of a commit that touches a namespace is one atomic batch. Commits with one parent bring their own changes; a merge
brings what differs from its tree. The replaying process is killed (SIGKILL) in the middle and started again, and goes
on from what is durable. At the end every file is compared with the history's head.

  executable       a plain file
  symlink          a file that holds the link's target
  submodule        a file that holds the id of its commit (from a trace: its made-up content)
  rename           a deletion and a new file, in one batch if both are in one namespace
  odd names        what no key may be called, or what begins with %, becomes %= and its encodeName()
  left out         paths that are not UTF-8, or with a name too long for a key; they are reported

Exit status: 0 all verified; 1 something was lost, differs or failed; 2 wrong usage, or an input that can't be used; 130
interrupted by ctrl-c.`

export function replayCommand(): Command {
  return new Command('replay')
    .description('replay a real history as a swarm of agents, kill it in the middle, and verify the result')
    .argument('[path]', 'git repository or trace', undefined)
    .option(
      '--root <dir>',
      'keep the state in this folder, new or empty (default: a temporary one, removed at the end)',
    )
    .option('--kills <n>', 'how often to kill the replaying process', wholeNumber(0), 5)
    .option('--seed <n>', 'decides when the kills come (default: random)', wholeNumber(0))
    .option('--in-flight <n>', 'commits under way at once', wholeNumber(1), 256)
    .option('--threads <n>', "threads that the agents live in; 0: the store's own", wholeNumber(0), 2)
    .option('--limit <n>', 'only the first commits', wholeNumber(1))
    .option('--json', 'print the whole report as one JSON object')
    .addHelpText('after', HELP)
    .action(runs<[string | undefined], Options>(run))
}

async function run(context: CommandContext, options: Options, path: string | undefined): Promise<ExitCode> {
  const { root, json, signal, output, status } = context
  const { kills, seed, inFlight, threads, limit } = options
  const report = await replay({
    ...{ path, root, kills, seed, inFlight, threads, limit, signal },
    onProgress: showProgress(status, kills),
  }).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error
    throw new CliError('INPUT_UNUSABLE', ExitCode.usage, error.message)
  })
  status.end()
  const isInterrupted = signal.aborted
  await output.last(json ? `${JSON.stringify(report)}\n` : formatReport(report))
  if (isInterrupted) signal.throwIfAborted()
  return report.ok ? ExitCode.ok : ExitCode.failed
}

const NOTES = 10

/** A bar on a terminal; elsewhere a line for each kill and each tenth of the way. */
function showProgress(status: StatusLine, plannedKills: number): (progress: ReplayProgress) => void {
  let tenths = 0
  return (progress) => {
    switch (progress.type) {
      case 'reading':
        return status.note('reading the history')
      case 'verifying':
        return status.note('comparing every file with the head of the history')
      case 'started':
      case 'acknowledged':
      case 'killed':
        break
    }
    const { settled, batches, kills, operations } = progress
    const share = `${settled.toLocaleString('en-US')} of ${batches.toLocaleString('en-US')} batches`
    if (progress.type === 'killed')
      status.note(`killed after ${share} (${kills} of ${plannedKills}), starting again`)
    status.bar(settled, batches, `${share}, ${operations.toLocaleString('en-US')} writes, ${kills} kills`)
    const reached = Math.floor((settled / batches) * NOTES)
    if (reached <= tenths) return
    tenths = reached
    if (!status.isTerminal) status.note(share)
  }
}
