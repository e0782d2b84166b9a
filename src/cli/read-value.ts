/** Reads a value to write: from a file, or from standard input. */
import { open } from 'node:fs/promises'
import { finished, type Readable } from 'node:stream'
import { CliError } from './cli-error.js'
import { ExitCode } from './exit-code.js'

/** Stores take 8 MiB by default, and what theirs take can't be asked; input without an end must not fill the memory. */
const VALUE_BYTES_MAX = 64 * 1024 * 1024

export async function readValue(
  file: string | undefined,
  input: Readable,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (file === undefined || file === '-') return collect(inputUntil(input, signal), 'standard input')
  let handle
  try {
    handle = await open(file, 'r')
  } catch (error) {
    throw unreadable(file, error)
  }
  const stream = handle.createReadStream({ signal })
  try {
    return await collect(stream, file)
  } finally {
    stream.destroy()
  }
}

/** Standard input, which ends when the command is interrupted. */
export function inputUntil(input: Readable, signal: AbortSignal): Readable {
  const stop = (): void => void input.destroy(signal.reason instanceof Error ? signal.reason : undefined)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  finished(input, () => signal.removeEventListener('abort', stop))
  return input
}

async function collect(stream: AsyncIterable<Uint8Array>, from: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of stream) {
      bytes += chunk.length
      if (bytes > VALUE_BYTES_MAX) break
      chunks.push(chunk)
    }
  } catch (error) {
    throw unreadable(from, error)
  }
  if (bytes <= VALUE_BYTES_MAX) return Buffer.concat(chunks)
  throw new CliError(
    'VALUE_TOO_LARGE',
    ExitCode.failed,
    `${from} has more than ${VALUE_BYTES_MAX} bytes; nothing was changed`,
  )
}

function unreadable(from: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error)
  return new CliError(
    'INPUT_UNREADABLE',
    ExitCode.usage,
    `${from} can't be read (${message}); nothing was changed`,
  )
}
