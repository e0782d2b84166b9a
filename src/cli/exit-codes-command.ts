import { Command } from 'commander'
import { ExitCode } from './exit-code.js'
import { runs, type CommandContext } from './run-command.js'
import { table } from './table.js'

const MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [ExitCode.ok, 'it is done'],
  [ExitCode.failed, 'it failed, or was done in part; the message says what is known'],
  [ExitCode.usage, 'wrong usage: the command, its options or its input make no sense'],
  [
    ExitCode.notFound,
    'there is no such store, namespace or key; or no process has the root open that could be asked',
  ],
  [ExitCode.refused, 'refused, and nothing was changed: a conflict, another revision, a key in the way'],
  [ExitCode.damaged, 'something on the disk is damaged'],
  [ExitCode.hungUp, 'ended because its terminal was closed'],
  [ExitCode.interrupted, 'interrupted by ctrl-c'],
  [ExitCode.terminated, 'ended by SIGTERM'],
]

const HELP = `
${table(
  MEANINGS.map(([code, meaning]) => [String(code), meaning]),
  ['right'],
)
  .map((line) => `  ${line.trimEnd()}`)
  .join('\n')}`

/** A topic of the help, which is a command so that `help` finds it. */
export function exitCodesCommand(): Command {
  return new Command('exit-codes')
    .description('say what the commands end with')
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', HELP)
    .action(
      runs<[]>(async ({ output, json }: CommandContext) => {
        if (!json) return output.line(HELP.slice(1))
        for (const [exitCode, meaning] of MEANINGS) await output.json({ exitCode, meaning })
      }),
    )
}
