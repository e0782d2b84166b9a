/** What a shell needs to know of the commands to complete them: read from the commands themselves. */
import type { Argument, Command, Option } from 'commander'

export interface OptionWords {
  /** `-l` and `--long`, as far as there are both. */
  readonly flags: readonly string[]
  readonly description: string
  /** What follows: nothing, a directory, a file, or something that can't be known. */
  readonly value: 'none' | 'directory' | 'file' | 'other'
}

export interface CommandWords {
  readonly name: string
  readonly description: string
  readonly options: readonly OptionWords[]
  /** Words that its first argument can be; empty if there are no such. */
  readonly choices: readonly string[]
  /** One of its arguments is a file or directory. */
  readonly takesFiles: boolean
}

/** Names of arguments and of the values of options that stand for places in the file system. */
const FILES: ReadonlySet<string> = new Set(['file', 'source', 'path'])
const DIRECTORIES: ReadonlySet<string> = new Set(['dir'])

export function completionWords(program: Command): readonly CommandWords[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [...command.options.map(optionWords), HELP],
    choices: command.registeredArguments[0]?.argChoices ?? [],
    takesFiles: command.registeredArguments.some((argument: Argument) => FILES.has(argument.name())),
  }))
}

const HELP: OptionWords = { flags: ['-h', '--help'], description: 'show its help', value: 'none' }

function optionWords(option: Option): OptionWords {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined)
  return { flags, description: option.description, value: valueOf(option) }
}

function valueOf({ flags, required, optional }: Option): OptionWords['value'] {
  if (!required && !optional) return 'none'
  const name = /[<[]([^>\].]+)/.exec(flags)?.[1] ?? ''
  if (DIRECTORIES.has(name)) return 'directory'
  return FILES.has(name) ? 'file' : 'other'
}
