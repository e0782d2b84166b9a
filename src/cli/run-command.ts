/**
 * What all commands have in common: ctrl-c ends them cleanly, a closed pipe quietly, an error becomes one line, and
 * `--json` prints one object a line.
 */
import type { Command } from 'commander'
import { CliError } from './cli-error.js'
import { describeError, errorToJson, formatError, type DescribedError } from './describe-error.js'
import { ExitCode } from './exit-code.js'
import { isClosedPipe, Output } from './output.js'
import { escapeUnsafe } from './printable.js'
import { statusLine, type StatusLine } from './status-line.js'
import { programOf, type Program, type Surroundings } from './surroundings.js'

export interface CommonOptions {
  readonly root?: string
  readonly json?: true
}

export interface CommandContext {
  readonly command: string
  /** From `--root`. */
  readonly root: string | undefined
  readonly json: boolean
  /** Aborts on ctrl-c, on a signal to end, and when nobody reads the output any more. */
  readonly signal: AbortSignal
  readonly output: Output
  readonly status: StatusLine
  /** A line for people, beside the output. */
  readonly note: (text: string) => void
  readonly surroundings: Surroundings
}

/** Why a command was interrupted. */
class Interruption extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

const SIGNALS = {
  SIGINT: ExitCode.interrupted,
  SIGTERM: ExitCode.terminated,
  SIGHUP: ExitCode.hungUp,
} as const

/** As long as a timer can be. */
const LONG_MS = 2 ** 31 - 1

type Run<A extends readonly unknown[], O> = (
  context: CommandContext,
  options: O,
  ...args: A
) => Promise<ExitCode | void>

/** An action for commander: calls `run` with the options, those given before the command's name included. */
export function runs<A extends readonly unknown[], O = object>(
  run: Run<A, O>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command
    const program = programOf(command)
    const options: O & CommonOptions = { ...program.opts(), ...command.opts() }
    await runCommand(program, command.name(), options, (context) =>
      run(context, options, ...(given.slice(0, -2) as unknown as A)),
    )
  }
}

async function runCommand(
  program: Program,
  command: string,
  options: CommonOptions,
  run: (context: CommandContext) => Promise<ExitCode | void>,
): Promise<void> {
  const { surroundings } = program
  const abort = new AbortController()
  const status = statusLine(surroundings.errors)
  const clear = (): void => status.end()
  const output = new Output(surroundings.output, { interrupted: abort.signal, beforeWriting: clear })
  const json = options.json === true
  const stopListening = listenToSignals(abort)
  // However it ends, the terminal is left as it was.
  process.once('exit', clear)
  // A store that waits for something to happen does not keep the process alive.
  const keepAlive = setInterval(() => {}, LONG_MS)
  const signal = AbortSignal.any([abort.signal, output.gone])
  const note = (text: string): void => status.note(escapeUnsafe(`agent-state ${command}: ${text}`))
  try {
    const { root } = options
    program.exitCode =
      (await run({ command, root, json, signal, output, status, note, surroundings })) ?? ExitCode.ok
    await output.end()
    status.end()
    if (output.gone.aborted && !isClosedPipe(output.gone.reason)) throw output.gone.reason
  } catch (error) {
    status.end()
    program.exitCode = report(error, abort.signal, output, (described) =>
      surroundings.errors.write(
        `${json ? JSON.stringify(errorToJson(command, described)) : formatError(command, described)}\n`,
      ),
    )
  } finally {
    clearInterval(keepAlive)
    stopListening()
    process.off('exit', clear)
  }
  program.isInterrupted = abort.signal.aborted
}

function report(
  error: unknown,
  interrupted: AbortSignal,
  output: Output,
  tell: (described: DescribedError) => void,
): ExitCode {
  if (interrupted.reason instanceof Interruption) return interrupted.reason.exitCode
  // What waits for the output wraps its reason.
  const isLostOutput = output.gone.aborted && !(error instanceof CliError)
  if (isLostOutput && isClosedPipe(output.gone.reason)) return ExitCode.ok
  const described = describeError(isLostOutput ? output.gone.reason : error)
  tell(described)
  return described.exitCode
}

/** The second signal ends the process at once: nothing that was acknowledged is lost by that. */
function listenToSignals(abort: AbortController): () => void {
  const listeners = Object.entries(SIGNALS).map(([name, exitCode]) => {
    const listener = (): void => {
      if (abort.signal.aborted) process.exit(exitCode)
      abort.abort(new Interruption(exitCode))
    }
    process.on(name, listener)
    return () => void process.off(name, listener)
  })
  return () => {
    for (const stop of listeners) stop()
  }
}
