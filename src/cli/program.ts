/** All commands together. */
import { readFileSync } from 'node:fs'
import { CommanderError, type Command } from 'commander'
import { benchCommand } from './bench-command.js'
import { completionCommand } from './completion-command.js'
import { conflictsCommand } from './conflicts-command.js'
import { CliError } from './cli-error.js'
import { describeError, errorToJson, formatError, type DescribedError } from './describe-error.js'
import { ExitCode } from './exit-code.js'
import { exitCodesCommand } from './exit-codes-command.js'
import { exportCommand } from './export-command.js'
import { getCommand } from './get-command.js'
import { importCommand } from './import-command.js'
import { infoCommand } from './info-command.js'
import { lsCommand } from './ls-command.js'
import { nearSuggestions } from './near-suggestions.js'
import { putCommand } from './put-command.js'
import { replayCommand } from './replay-command.js'
import { rmCommand } from './rm-command.js'
import { statCommand } from './stat-command.js'
import { Program, type Surroundings } from './surroundings.js'
import { verifyCommand } from './verify-command.js'
import { watchCommand } from './watch-command.js'

const HELP = `
The root is found from --root, from AGENT_STATE_ROOT, or upwards from here, among your own directories. While another process
has it open, commands go through that process. 'agent-state help COMMAND' has examples, 'agent-state help exit-codes' what
commands end with.`

export interface Ended {
  readonly exitCode: ExitCode
  /** By a signal: nobody is to be waited for any more. */
  readonly isInterrupted: boolean
}

/** Runs the command that the words say. */
export async function runProgram(words: readonly string[], surroundings: Surroundings): Promise<Ended> {
  const { output, errors } = surroundings
  const isJson = isJsonWanted(words)
  // Nobody reads the help or what is told beside the output; what a command prints is watched by itself.
  for (const stream of [output, errors]) stream.on('error', () => {})
  const program = new Program('agent-state', surroundings)
  program
    .description('Durable, conflict-aware state for swarms of AI agents, kept as plain files.')
    .version(version(), '-V, --version')
    .option('--root <dir>', 'the root')
    .option('--json', 'print one JSON object a line')
    .enablePositionalOptions()
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void output.write(text),
      writeErr: (text) => void errors.write(text),
      // Every error is told in one shape, below.
      outputError: () => {},
    })
  for (const command of commands(program)) program.addCommand(command.copyInheritedSettings(program))
  try {
    await program.parseAsync(words, { from: 'user' })
    return program
  } catch (error) {
    const described = describeUsage(error)
    // The help stands there already.
    const isHelp = error instanceof CommanderError && error.code.startsWith('commander.help')
    if (!isHelp && described.exitCode !== ExitCode.ok) {
      const name = commandIn(words, program)
      errors.write(
        `${isJson ? JSON.stringify(errorToJson(name, described)) : formatError(name, described)}\n`,
      )
    }
    return { exitCode: described.exitCode, isInterrupted: false }
  }
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
    ...[replayCommand(), benchCommand(), completionCommand(program), exitCodesCommand()],
  ]
}

/** Also where the words make no command. */
function isJsonWanted(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? words.length : end).includes('--json')
}

/** The name of the command that the words are about; empty if they are about none. */
function commandIn(words: readonly string[], program: Command): string {
  const names = new Set(program.commands.map((command) => command.name()))
  return words.find((word, index) => names.has(word) && words[index - 1] !== '--root') ?? ''
}

function describeUsage(error: unknown): DescribedError {
  if (!(error instanceof CommanderError)) return describeError(error)
  const exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  return describeError(new CliError('USAGE', exitCode, nearSuggestions(message)))
}
