/** What a failed command says and ends with: one line with a code, what happened and what to do; no stack. */
import { AgentStateError, type Code } from '../index.js'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'
import { escapeUnsafe } from './printable.js'

export interface DescribedError {
  readonly code: string
  readonly message: string
  readonly exitCode: ExitCode
  /** What is known of the change that was asked for; null if none was. */
  readonly outcome: string | null
  /** What to do; null where the message says it. */
  readonly advice: string | null
  /** The fields of its own that an error of the store has. */
  readonly fields: Readonly<Record<string, unknown>>
}

const EXIT_CODES: Partial<Record<Code, ExitCode>> = {
  CONFLICT: ExitCode.refused,
  REVISION_MISMATCH: ExitCode.refused,
  KEY_BLOCKED: ExitCode.refused,
  INVALID_KEY: ExitCode.usage,
  INVALID_NAMESPACE: ExitCode.usage,
  INVALID_VALUE: ExitCode.usage,
  NAMESPACE_NOT_FOUND: ExitCode.notFound,
  METADATA_CORRUPT: ExitCode.damaged,
  CONTENT_CORRUPT: ExitCode.damaged,
  JOURNAL_CORRUPT: ExitCode.damaged,
}

const ADVICE: Partial<Record<Code, string>> = {
  CONFLICT: 'read it again, or give --policy ignore to overwrite',
  REVISION_MISMATCH: "look with 'agent-state stat', and try again",
  KEY_BLOCKED: 'delete that key first',
  NAMESPACE_NOT_FOUND: "'agent-state ls' lists the namespaces",
  METADATA_CORRUPT:
    "'agent-state verify' says what is damaged; where the store's own files are, restore the root from a copy",
  CONTENT_CORRUPT: "'agent-state verify' says what is damaged; write the key anew or restore its file",
  JOURNAL_CORRUPT: "'agent-state verify' says what is damaged; restore the root from a copy",
  REVISION_COMPACTED: 'watch with --initial instead',
  NO_SPACE: 'make room on the disk',
  CLOSE_INCOMPLETE: 'nothing is lost: the next opening of the root brings it into the files',
  OUTCOME_UNKNOWN:
    "the change may be there or not: look with 'agent-state stat' when the store is open again",
  STORE_FAILED: 'the process that owns the root has to close the store and open it again',
  DISCONNECTED: 'the owner of the root went away; try again',
}

/** Of a key alone. A command line can't be told in words of the library. */
const KEY_METADATA_ADVICE =
  "delete the key, or write it with 'agent-state put --repair-metadata', which replaces them"
const LIBRARY_ADVICE = '; delete the key, or write it with repairMetadata: true'

/** A warning of the store, which goes on all the same: one line without its end. `advice`: null where another line has it. */
export function warningText(
  { code, message }: { readonly code: string; readonly message: string },
  advice: string | null = `to repair it, ${KEY_METADATA_ADVICE}`,
): string {
  const hasAdvice = code === 'METADATA_CORRUPT' && advice !== null
  return `warning: ${code}: ${message}${hasAdvice ? `; ${advice}` : ''}`
}

export function describeError(error: unknown): DescribedError {
  if (error instanceof CliError) {
    const { code, message, exitCode } = error
    return { code, message, exitCode, outcome: null, advice: null, fields: {} }
  }
  if (AgentStateError.is(error)) return describeStateError(error)
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'FAILED'
  const text = error instanceof Error ? error.message : String(error)
  // The system's errors begin with their code, which is said anyway.
  const message = text.startsWith(`${code}: `) ? text.slice(code.length + 2) : text
  // The store throws these two for what makes no sense, before anything happens.
  const isMisuse = error instanceof RangeError || error instanceof TypeError
  const exitCode = isMisuse ? ExitCode.usage : ExitCode.failed
  return { code: isMisuse ? 'USAGE' : code, message, exitCode, outcome: null, advice: null, fields: {} }
}

function describeStateError(error: AgentStateError): DescribedError {
  const { code, outcome } = error
  const isOfKey = code === 'METADATA_CORRUPT' && error.message.endsWith(LIBRARY_ADVICE)
  const message = isOfKey ? error.message.slice(0, -LIBRARY_ADVICE.length) : error.message
  const fields = Object.fromEntries(
    Object.entries(error).filter(
      ([name]) => !['code', 'message', 'name', 'stack', 'outcome', 'cause'].includes(name),
    ),
  )
  return {
    ...{ code, message, outcome, fields },
    exitCode: EXIT_CODES[code] ?? ExitCode.failed,
    advice: isOfKey ? KEY_METADATA_ADVICE : adviceFor(error),
  }
}

function adviceFor(error: AgentStateError): string | null {
  if (AgentStateError.is(error, 'WATCH_OVERFLOW'))
    return `this reader was too slow; go on with --after ${error.lastRevision}`
  return ADVICE[error.code] ?? null
}

/** One line without its end. */
export function formatError(command: string, error: DescribedError): string {
  const { code, message } = error
  const text = message.replace(/^agent_state(\.\w+)?: /, '').replace(/\.$/, '')
  const advice = adviceOf(command, error)
  const name = command === '' ? 'agent-state' : `agent-state ${command}`
  return escapeUnsafe(`${name}: ${code}: ${text}${advice === null ? '' : `; ${advice}`}`)
}

function adviceOf(command: string, { code, advice }: DescribedError): string | null {
  if (advice !== null || code !== 'USAGE') return advice
  return `see '${['agent-state', 'help', command].join(' ').trimEnd()}'`
}

/** As an object for `--json`. */
export function errorToJson(command: string, error: DescribedError): unknown {
  const { code, message, exitCode, outcome, fields } = error
  return { error: { command, code, message, outcome, advice: adviceOf(command, error), exitCode, ...fields } }
}
