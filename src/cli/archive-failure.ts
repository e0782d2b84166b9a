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
  if (!(error instanceof ArchiveError)) throw error
  const code = `ARCHIVE_${error.reason.toUpperCase()}`
  throw new CliError(code, EXIT_CODES[error.reason], `${error.message}${more}`)
}
