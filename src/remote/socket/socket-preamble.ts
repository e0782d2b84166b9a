/** The beginning of a connection over a local socket: both sides say what they speak. */
import type { Socket } from 'node:net'
import { compareVersions, FrameReader, makePreamble, PREAMBLE_BYTES } from './socket-frames.js'

export interface Preamble {
  /** Null if both speak the same. */
  readonly mismatch: { readonly found: string; readonly supported: string } | null
  /** Has what came behind the preamble. */
  readonly reader: FrameReader
}

/**
 * Says ours and calls back once: with the other side's, or with why there is none, and then the socket is
 * destroyed. Nothing more is read until somebody listens again.
 */
export function exchangePreambles(
  socket: Socket,
  contentBytesMax: number,
  done: (preamble: Preamble | null, error: unknown) => void,
): void {
  const reader = new FrameReader(contentBytesMax)
  const stop = (preamble: Preamble | null, error: unknown): void => {
    socket.off('data', received).off('error', failed).off('end', ended).off('close', ended)
    socket.pause()
    if (preamble === null) socket.on('error', () => {}).destroy()
    done(preamble, error)
  }
  const failed = (error: unknown): void => stop(null, error)
  const ended = (): void => stop(null, undefined)
  const received = (chunk: Buffer): void => {
    reader.push(chunk)
    try {
      const preamble = reader.take(PREAMBLE_BYTES)
      if (preamble !== null) stop({ mismatch: compareVersions(preamble), reader }, undefined)
    } catch (error) {
      stop(null, error)
    }
  }
  socket.on('data', received).on('error', failed).on('end', ended).on('close', ended)
  socket.write(makePreamble())
}
