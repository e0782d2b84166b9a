import type { ExitCode } from './exit-code.js'

/** What a command refuses or can't do, in one line for people: what happened and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError'
  /** Stable, as the codes of the store's errors. */
  readonly code: string
  readonly exitCode: ExitCode

  constructor(code: string, exitCode: ExitCode, message: string) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}
