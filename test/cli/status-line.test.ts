import type { WriteStream } from 'node:tty'
import { describe, expect, test } from 'vitest'
import { progressBar, statusLine } from '../../src/cli/status-line.js'

/** Keeps what is written to it. */
function fakeStream(isTTY: boolean): { stream: WriteStream; written: () => string } {
  let text = ''
  const write = (chunk: string): boolean => {
    text += chunk
    return true
  }
  const stream = { isTTY, columns: 20, write } as unknown as WriteStream
  return { stream, written: () => text }
}

const CLEAR = '\u001b[1G\u001b[2K'

describe('the status line', () => {
  test('is written over on a terminal, cut to its width, and makes room for what stays', () => {
    const { stream, written } = fakeStream(true)
    let now = 0
    const status = statusLine(stream, () => now)
    status.update('one')
    now += 100
    status.update('a line that is longer than the terminal')
    status.note('note')
    status.end()
    expect(written()).toBe(`one${CLEAR}a line that is long${CLEAR}note\n`)
  })

  test('leaves alone what it has not written, and shows itself where nobody knows how wide the terminal is', () => {
    const { stream, written } = fakeStream(true)
    statusLine(stream).end()
    expect(written()).toBe('')
    const narrow = statusLine(Object.assign(stream, { columns: 0 }))
    narrow.update('x'.repeat(100))
    expect(written()).toBe('x'.repeat(79))
  })

  test('is not written more often than anybody can read', () => {
    const { stream, written } = fakeStream(true)
    let now = 0
    const status = statusLine(stream, () => now)
    for (; now < 500; now++) status.update('x')
    expect(written().split('x')).toHaveLength(11)
  })

  test('writes only what stays where there is no terminal', () => {
    const { stream, written } = fakeStream(false)
    const status = statusLine(stream)
    status.update('one')
    status.note('note')
    status.end()
    expect(written()).toBe('note\n')
  })
})

test('the bar is empty at the beginning and full only at the end', () => {
  expect(progressBar(0, 10, 5)).toBe('[-----]')
  expect(progressBar(5, 10, 5)).toBe('[##---]')
  expect(progressBar(9999, 10_000, 5)).toBe('[####-]')
  expect(progressBar(10, 10, 5)).toBe('[#####]')
  expect(progressBar(0, 0, 5)).toBe('[#####]')
})
