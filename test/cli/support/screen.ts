/** What stands on a terminal after something was written to it: as much of one as the command line uses. */
const ESCAPE = '\u001b'
const SEQUENCE = new RegExp(
  `${ESCAPE}(?:([78])|\\[(\\??)([\\d;]*)([A-Za-z]))|([\\r\\n])|([^${ESCAPE}\\r\\n])`,
  'gu',
)

export function screenOf(written: string): readonly string[] {
  const lines: string[] = ['']
  let [row, column] = [0, 0]
  let saved: readonly [number, number] = [0, 0]
  for (const [, cursor, isPrivate, numbers, command, control, character] of written.matchAll(SEQUENCE)) {
    const line = lines[row] ?? ''
    if (cursor === '7') saved = [row, column]
    else if (cursor === '8') [row, column] = saved
    else if (control === '\r') column = 0
    else if (control === '\n') [row, column] = [row + 1, 0]
    else if (character !== undefined) {
      lines[row] = line.slice(0, column).padEnd(column) + character + line.slice(column + 1)
      column++
    } else if (isPrivate === '' && command === 'G') column = Number(numbers || 1) - 1
    else if (isPrivate === '' && command === 'K') lines[row] = numbers === '2' ? '' : line.slice(0, column)
    lines[row] ??= ''
  }
  return lines
}
