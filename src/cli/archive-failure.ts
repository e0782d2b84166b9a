import { ArchiveError } from '../archive/archive-error.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'

const EXIT_CODES = {
  usage: ExitCode.usage,
  refused: ExitCode.refused,
  damaged: ExitCode.damaged,
  failed: ExitCode.failed,
} as const

/** Throws what is wrong with an archive as an error of the command line. `more` is put behind it. */
export function archiveFailure(error: unknown, more = ''): never {
  throw archiveErrorOf(error, more)
}

/** What is wrong with an archive as an error of the command line; any other error as it is. */
export function archiveErrorOf(error: unknown, more = ''): unknown {
  if (!(error instanceof ArchiveError)) return error
  const code = `ARCHIVE_${error.reason.toUpperCase()}`
  return new CliError(code, EXIT_CODES[error.reason], `${error.message}${more}`)
}
