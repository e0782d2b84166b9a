import { Command, InvalidArgumentError } from 'commander'
import { bench, BenchInputError } from '../bench/bench.js'
import { formatBench } from '../bench/format-bench.js'
import { ExitCode } from './exit-code.js'
import { progressBar, statusLine } from './status-line.js'

interface Options {
  readonly root: string
  readonly seconds: number
  readonly json?: true
}

const HELP = `
Writes and reads with 1, 64 and 256 callers, each with a writer identity of its own, in 8 namespaces: new keys, and 100 hot
keys a namespace. A write counts when it was acknowledged, that is when it was synced. All that was acknowledged is compared
after closing and opening again, and after a process was killed (SIGKILL) while it wrote. A folder is made in DIR and removed
at the end. Other programs that use the disk or the processor meanwhile make the numbers worse.

Exit status: 0 all verified; 1 something was lost or failed; 2 wrong usage, or a disk that can't be used; 130
interrupted by ctrl-c.`

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure this library on your own disk, and verify that what it acknowledged is there')
    .requiredOption('--root <dir>', 'a folder on the disk to measure')
    .option('--seconds <s>', 'length of each workload', positive, 1)
    .option('--json', 'print the whole report as JSON')
    .addHelpText('after', HELP)
    .action(run)
}

function positive(text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Must be a number above 0.')
}

async function run({ root, seconds, json }: Options): Promise<void> {
  const status = statusLine(process.stderr)
  const abort = new AbortController()
  const interrupt = (): void => abort.abort()
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  try {
    const report = await bench({
      ...{ root, seconds, signal: abort.signal },
      onProgress: (done, total, what) => status.update(`${progressBar(done, total)} ${what}`),
    })
    status.end()
    process.stdout.write(json === true ? `${JSON.stringify(report)}\n` : formatBench(report))
    process.exitCode = report.ok ? ExitCode.ok : ExitCode.failed
  } catch (error) {
    status.end()
    if (abort.signal.aborted) {
      process.stderr.write('agent-state bench: interrupted\n')
      process.exitCode = ExitCode.interrupted
    } else if (error instanceof BenchInputError) {
      process.stderr.write(`agent-state bench: ${error.message}\n`)
      process.exitCode = ExitCode.usage
    } else {
      throw error
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}
