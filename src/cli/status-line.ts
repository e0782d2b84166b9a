import { clearLine, cursorTo } from 'node:readline'
import type { WriteStream } from 'node:tty'

/** One line at the bottom of a terminal that is written again and again; elsewhere, one line for each milestone. */
export interface StatusLine {
  /** What is shown until the next call; only on a terminal. */
  update(text: string): void
  /** What stays. */
  note(text: string): void
  end(): void
}

const UPDATE_MS = 50
const COLUMNS = 80

export function statusLine(
  stream: WriteStream,
  now: () => number = performance.now.bind(performance),
): StatusLine {
  if (!stream.isTTY) {
    return { update: () => {}, note: (text) => void stream.write(`${text}\n`), end: () => {} }
  }
  let next = 0
  let isShown = false
  // Where nothing is shown, the end of somebody's output may stand there.
  const clear = (): void => {
    if (!isShown) return
    isShown = false
    cursorTo(stream, 0)
    clearLine(stream, 0)
  }
  return {
    update: (text) => {
      if (now() < next) return
      next = now() + UPDATE_MS
      clear()
      // A longer line would be wrapped, and only its last part be written over. Some terminals don't know how wide they are.
      stream.write(text.slice(0, (stream.columns || COLUMNS) - 1))
      isShown = true
    },
    note: (text) => {
      clear()
      stream.write(`${text}\n`)
    },
    end: clear,
  }
}

export function progressBar(done: number, total: number, width = 30): string {
  const filled = total === 0 ? width : Math.floor((done / total) * width)
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`
}
