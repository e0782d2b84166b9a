/**
 * Output owns what a command writes to its standard output. On a terminal names are made safe to print and colours are
 * used, unless NO_COLOR says otherwise; elsewhere everything is written as it is. A reader that goes away (`| head -1`)
 * is no failure: what is written afterwards goes nowhere, and whoever asks learns that it may stop. A reader that is slow
 * is waited for until the command is interrupted.
 */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { printable } from './printable.js'

/** The part of a terminal's stream that is used; a pipe or file has only the first. */
export interface OutputStream extends Writable {
  readonly isTTY?: boolean
  hasColors?(): boolean
}

export type Style = Parameters<typeof styleText>[0]

export interface OutputOptions {
  /** Aborts when the command is interrupted. */
  readonly interrupted: AbortSignal
  /** Called before something is written: on a terminal, what shows the progress has to make room. */
  readonly beforeWriting: () => void
}

export class Output {
  readonly #stream: OutputStream
  readonly #options: OutputOptions
  readonly #readerGone = new AbortController()
  /** Nothing is waited for any more. */
  readonly #stopped: AbortSignal
  #hasWritten = false

  constructor(stream: OutputStream, options: OutputOptions) {
    this.#stream = stream
    this.#options = options
    this.#stopped = AbortSignal.any([this.gone, options.interrupted])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Anything else, a full disk say, is for `write` to report.
      this.#readerGone.abort(error)
    })
  }

  /** Aborts with the reason when nothing can be written any more. */
  get gone(): AbortSignal {
    return this.#readerGone.signal
  }

  /** Something was printed, which can't be taken back. */
  get hasWritten(): boolean {
    return this.#hasWritten
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true
  }

  /** A name as it may be shown here. */
  name(text: string): string {
    return this.isTerminal ? printable(text) : text
  }

  style(style: Style, text: string): string {
    return this.isTerminal && this.#stream.hasColors?.() === true
      ? styleText(style, text, { validateStream: false })
      : text
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** One object a line. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value))
  }

  /** Waits while the reader is slow; rejects when nothing can be written any more, or it was interrupted meanwhile. */
  async write(data: string | Uint8Array): Promise<void> {
    this.gone.throwIfAborted()
    this.#hasWritten = true
    if (this.isTerminal) this.#options.beforeWriting()
    if (this.#stream.write(data)) return
    try {
      await once(this.#stream, 'drain', { signal: this.#stopped })
    } finally {
      this.#throwIfInterrupted()
    }
  }

  /** What a command says of itself at its end: how that was is the same if nobody reads it. */
  async last(text: string): Promise<void> {
    try {
      await this.write(text)
      await this.end()
    } catch (error) {
      if (!isClosedPipe(this.gone.reason)) throw error
    }
  }

  /** Resolves when everything was handed to the system, or nobody reads it any more. */
  async end(): Promise<void> {
    if (this.gone.aborted) return
    await new Promise<void>((resolve) => {
      if (this.#stopped.aborted) resolve()
      this.#stopped.addEventListener('abort', () => resolve(), { once: true })
      this.#stream.write('', () => resolve())
    })
    this.#throwIfInterrupted()
  }

  /** Unless all was written before. What waits wraps the reason, which itself says how the command ends. */
  #throwIfInterrupted(): void {
    if (this.#stream.writableLength > 0 && !this.gone.aborted) this.#options.interrupted.throwIfAborted()
  }
}

/** Whether it is the reader that went away, and not the disk that is full. */
export function isClosedPipe(reason: unknown): boolean {
  return (
    reason instanceof Error && 'code' in reason && (reason.code === 'EPIPE' || reason.code === 'ECONNRESET')
  )
}
