#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { benchCommand } from './bench-command.js'
import { ExitCode } from './exit-code.js'
import { replayCommand } from './replay-command.js'

function main(): void {
  const program = new Command('agent-state')
    .description('Durable, conflict-aware state for swarms of AI agents, kept as plain files.')
    .exitOverride()
  for (const command of [replayCommand(), benchCommand()])
    program.addCommand(command.copyInheritedSettings(program))
  program.parseAsync().then(
    () => {},
    (error: unknown) => {
      process.exitCode = exitCodeOf(error)
    },
  )
}

/** Commander has printed its own errors; asking for help is none. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return ExitCode.failed
}

main()
