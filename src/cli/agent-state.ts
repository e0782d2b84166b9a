#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { benchCommand } from './bench-command.js'
import { completionCommand } from './completion-command.js'
import { conflictsCommand } from './conflicts-command.js'
import { CliError } from './cli-error.js'
import { describeError, errorToJson, formatError } from './describe-error.js'
import { ExitCode } from './exit-code.js'
import { exportCommand } from './export-command.js'
import { getCommand } from './get-command.js'
import { importCommand } from './import-command.js'
import { infoCommand } from './info-command.js'
import { lsCommand } from './ls-command.js'
import { putCommand } from './put-command.js'
import { replayCommand } from './replay-command.js'
import { rmCommand } from './rm-command.js'
import { statCommand } from './stat-command.js'
import { verifyCommand } from './verify-command.js'
import { watchCommand } from './watch-command.js'

const HELP = `
The root is found from --root, from AGENT_STATE_ROOT, or upwards from here, among your own directories. While another process
has it open, commands go through that process. 'agent-state help COMMAND' has examples.`

function main(): void {
  const program = new Command('agent-state')
    .description('Durable, conflict-aware state for swarms of AI agents, kept as plain files.')
    .version(version(), '-V, --version')
    .option('--root <dir>', 'the root')
    .option('--json', 'print one JSON object a line')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => (isJsonWanted() ? undefined : write(text)) })
  for (const command of commands(program)) program.addCommand(command.copyInheritedSettings(program))
  program.parseAsync().then(
    () => {},
    (error: unknown) => {
      process.exitCode = exitCodeOf(program, error)
    },
  )
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

/** In the order of the help text. */
function commands(program: Command): Command[] {
  return [
    ...[lsCommand(), getCommand(), putCommand(), rmCommand(), statCommand()],
    ...[watchCommand(), conflictsCommand()],
    ...[exportCommand(), importCommand()],
    ...[infoCommand(), verifyCommand()],
    ...[replayCommand(), benchCommand(), completionCommand(program)],
  ]
}

/** Of words that could not be read as a command. */
function isJsonWanted(): boolean {
  const words = process.argv.slice(2)
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? words.length : end).includes('--json')
}

/** Commander has printed its own errors, but not as JSON; asking for help is none. */
function exitCodeOf(program: Command, error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return ExitCode.ok
    // Without a command, the help is printed.
    if (isJsonWanted() && error.code !== 'commander.help') {
      const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
      const names = program.commands.map((command) => command.name())
      const command = process.argv.slice(2).find((word) => names.includes(word)) ?? ''
      const described = describeError(new CliError('USAGE', ExitCode.usage, message))
      process.stderr.write(`${JSON.stringify(errorToJson(command, described))}\n`)
    }
    return ExitCode.usage
  }
  const described = describeError(error)
  process.stderr.write(`${formatError('', described)}\n`)
  return described.exitCode
}

main()
