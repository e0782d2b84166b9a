import type { Readable } from 'node:stream'
import { Command } from 'commander'
import { ExitCode } from './exit-code.js'
import type { OutputStream } from './output.js'

/** What commands find around them: a process of their own, or whatever else runs them. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** From which a root is looked for. */
  readonly directory: string
  readonly input: Readable
  readonly output: OutputStream
  readonly errors: OutputStream
}

/** Of all commands: it knows what is around them, and how the one that ran has ended. */
export class Program extends Command {
  readonly surroundings: Surroundings
  exitCode: ExitCode = ExitCode.ok
  /** By a signal: nothing is to be waited for any more, not even for a reader. */
  isInterrupted = false

  constructor(name: string, surroundings: Surroundings) {
    super(name)
    this.surroundings = surroundings
  }
}

export function programOf({ parent }: Command): Program {
  if (parent instanceof Program) return parent
  throw new TypeError('a command belongs to a program')
}
