/** Turns the texts of options into values, and says what they should have been. */
import { userInfo } from 'node:os'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { parseConflictPolicy, type ConflictPolicy, type Writer } from '../index.js'
import type { Surroundings } from './surroundings.js'

export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value
    throw new InvalidArgumentError(`Must be a whole number from ${min}.`)
  }
}

export function conflictPolicy(text: string): ConflictPolicy {
  try {
    return parseConflictPolicy(text)
  } catch {
    throw new InvalidArgumentError("Must be 'ignore', 'warn' or 'error'.")
  }
}

/** For every command that has a store. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--root <dir>', 'the root (default: AGENT_STATE_ROOT, or found upwards from here)')
    .option('--json', 'print one JSON object a line')
}

/** For commands that write. */
export function addWriterOption(command: Command): Command {
  return command.addOption(new Option('--writer <id>', 'who writes (default: cli:$USER)'))
}

export function writerOf({ writer }: { readonly writer?: string }, { environment }: Surroundings): Writer {
  return { writerId: writer ?? `cli:${userName(environment)}` }
}

function userName(environment: Surroundings['environment']): string {
  const named = environment['USER'] ?? environment['LOGNAME'] ?? environment['USERNAME']
  if (named !== undefined && named !== '') return named
  try {
    return userInfo().username
  } catch {
    // A user without an entry in the system's list.
    return 'unknown'
  }
}
