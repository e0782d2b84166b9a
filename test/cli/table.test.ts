import { expect, test } from 'vitest'
import { columns, table } from '../../src/cli/table.js'

test('columns are as wide as what a terminal shows in them, colours and wide characters included', () => {
  const dim = '\u001b[2mdim\u001b[22m'
  expect(
    table(
      [
        ['a', '漢字', 'x'],
        [dim, '1', 'x'],
        ['', 'line\nbreak', 'x'],
      ],
      ['left', 'right'],
    ),
  ).toEqual(['a           漢字  x', `${dim}            1  x`, '     line\\nbreak  x'])
  expect(table([])).toEqual([])
})

test('a line of its own has cells of fixed widths, and longer ones as long as they are', () => {
  const line = columns([
    ['7', -3],
    ['漢字', 6],
    ['too long', 3],
    ['', 1],
  ])
  expect(line).toBe('  7  漢字    too long   ')
})
