/** What shows how far a command is: a bar or a word at the bottom of a terminal; elsewhere nothing but what stays. */
import cliProgress, { type SingleBar } from 'cli-progress'
import type { OutputStream } from './output.js'

export interface StatusLine {
  readonly isTerminal: boolean
  /** How much is done, until the next call; only on a terminal. */
  bar(done: number, total: number, text: string): void
  /** The same where nobody knows how much there is to do. */
  update(text: string): void
  /** What stays. */
  note(text: string): void
  /** Leaves nothing behind, and the terminal as it was. */
  end(): void
}

const SHOWN = {
  clearOnComplete: true,
  barsize: 30,
  barCompleteChar: '#',
  barIncompleteChar: '-',
  fps: 20,
  // A line that is longer than the terminal is cut by the terminal, which knows how wide characters are.
  linewrap: false,
  // Commands have their own way to end by a signal.
  gracefulExit: false,
}

export function statusLine(stream: OutputStream): StatusLine {
  const share = new cliProgress.SingleBar({ ...SHOWN, stream, format: '[{bar}] {text}' })
  const word = new cliProgress.SingleBar({ ...SHOWN, stream, format: '{text}' })
  const isTerminal = stream.isTTY === true
  let shown: SingleBar | null = null
  // Where nothing is shown, the end of somebody's output may stand there, which is left alone.
  const end = (): void => {
    shown?.stop()
    shown = null
  }
  const show = (bar: SingleBar, done: number, total: number, text: string): void => {
    if (!isTerminal) return
    if (shown === bar) {
      bar.setTotal(total)
      bar.update(done, { text })
      return
    }
    end()
    shown = bar
    bar.start(total, done, { text })
  }
  return {
    isTerminal,
    bar: (done, total, text) => show(share, done, total, text),
    update: (text) => show(word, 0, 1, text),
    note: (text) => {
      end()
      stream.write(`${text}\n`)
    },
    end,
  }
}
