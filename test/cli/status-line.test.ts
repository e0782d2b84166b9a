import type { WriteStream } from 'node:tty'
import { describe, expect, onTestFinished, test } from 'vitest'
import { statusLine, type StatusLine } from '../../src/cli/status-line.js'
import { screenOf } from './support/screen.js'

interface Shown {
  readonly status: StatusLine
  readonly stream: WriteStream
  readonly written: () => string
  /** What a terminal would show. */
  readonly screen: () => readonly string[]
}

function shown({ isTTY }: { readonly isTTY: boolean }): Shown {
  let text = ''
  const write = (chunk: string): boolean => {
    text += chunk
    return true
  }
  const stream = { isTTY, columns: 40, write } as unknown as WriteStream
  const status = statusLine(stream)
  onTestFinished(() => status.end())
  return { status, stream, written: () => text, screen: () => screenOf(text) }
}

const ESCAPE = '\u001b'

describe('the status line', () => {
  test('shows a bar or a word on a terminal, and makes room for what stays', () => {
    const { status, screen } = shown({ isTTY: true })
    status.bar(1, 2, 'half')
    expect(screen()).toEqual([`[${'#'.repeat(15)}${'-'.repeat(15)}] half`])
    status.update('reading')
    expect(screen()).toEqual(['reading'])
    status.note('note')
    expect(screen()).toEqual(['note', ''])
    status.bar(0, 0, 'nothing to do')
    expect(screen()).toEqual(['note', `[${'#'.repeat(30)}] nothing to do`])
    status.end()
    expect(screen()).toEqual(['note', ''])
  })

  test('leaves the terminal as it was, which cuts what is longer than a line meanwhile', () => {
    const { status, written } = shown({ isTTY: true })
    status.update('漢字'.repeat(100))
    expect(written()).toContain(`${ESCAPE}[?7l`)
    expect(written()).not.toContain(`${ESCAPE}[?7h`)
    status.end()
    expect(written().indexOf(`${ESCAPE}[?7h`)).toBeGreaterThan(written().indexOf(`${ESCAPE}[?7l`))
    expect(written()).not.toContain(`${ESCAPE}[?25l`)
    const before = written()
    status.end()
    expect(written()).toBe(before)
  })

  test('leaves alone what it has not written', () => {
    const { status, written } = shown({ isTTY: true })
    status.end()
    expect(written()).toBe('')
  })

  test('is not written more often than anybody can read', () => {
    const { status, written } = shown({ isTTY: true })
    for (let index = 0; index < 10_000; index++) status.bar(index, 10_000, `number ${index}`)
    expect(written().split('number').length).toBeLessThan(1000)
    status.end()
    expect(written()).toContain('number 9999')
  })

  test('writes only what stays where there is no terminal', () => {
    const { status, written } = shown({ isTTY: false })
    status.bar(1, 2, 'half')
    status.update('one')
    status.note('note')
    status.end()
    expect(written()).toBe('note\n')
  })
})
