import { Command, InvalidArgumentError } from 'commander'
import { bench, BenchInputError } from '../bench/bench.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'
import { formatBench } from './format-bench.js'
import { runs, type CommandContext } from './run-command.js'

interface Options {
  readonly seconds: number
}

const HELP = `
Writes and reads with 1, 64 and 256 callers, each with a writer identity of its own, in 8 namespaces: new keys, and 100 hot
keys a namespace. A write counts when it was acknowledged, that is when it was synced. All that was acknowledged is compared
after closing and opening again, and after a process was killed (SIGKILL) while it wrote. A folder is made in DIR and removed
at the end.

--seconds is how long each of the 7 workloads writes; it is read for half as long. New keys are at most 5,000 for each of these
seconds, and 20,000 in all: the measurement waits until their files are on the disk, which takes longer than writing them. With
closing, opening again and comparing, the default takes about a minute on an ordinary disk, and longer where a synced file takes
more than a millisecond. Other programs that use the disk or the processor meanwhile make the numbers worse.

Exit status: 0 all verified; 1 something was lost or failed; 2 wrong usage, or a disk that can't be used; 130
interrupted by ctrl-c.`

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure this library on your own disk, and verify that what it acknowledged is there')
    .option('--root <dir>', 'a folder on the disk to measure; has to be given')
    .option(
      '--seconds <s>',
      'how long each of 7 workloads writes; all together takes longer, see below',
      positive,
      1,
    )
    .option('--json', 'print the whole report as one JSON object')
    .addHelpText('after', HELP)
    .action(runs<[], Options>(run))
}

function positive(text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Must be a number above 0.')
}

async function run(context: CommandContext, { seconds }: Options): Promise<ExitCode> {
  const { root, json, signal, output, status } = context
  if (root === undefined)
    throw new CliError('USAGE', ExitCode.usage, 'name a folder on the disk to measure with --root')
  const report = await bench({
    ...{ root, seconds, signal },
    onProgress: (done, total, what) => status.bar(done, total, what),
  }).catch((error: unknown) => {
    if (!(error instanceof BenchInputError)) throw error
    throw new CliError('ROOT_UNUSABLE', ExitCode.usage, error.message)
  })
  status.end()
  await output.last(json ? `${JSON.stringify(report)}\n` : formatBench(report))
  return report.ok ? ExitCode.ok : ExitCode.failed
}
