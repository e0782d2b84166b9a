/** How rows are laid out below each other. Widths are those that a terminal shows, not numbers of characters. */
import CliTable from 'cli-table3'
import stringWidth from 'string-width'

export type Align = 'left' | 'right'

const BORDERS = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
]

/** A table without borders, as lines; every column is as wide as its widest cell. A line break would tear it. */
export function table(rows: readonly (readonly string[])[], align: readonly Align[] = []): string[] {
  if (rows.length === 0) return []
  const laidOut = new CliTable({
    chars: { ...Object.fromEntries(BORDERS.map((name) => [name, ''])), middle: '  ' },
    colAligns: [...align],
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  for (const cells of rows) laidOut.push(cells.map((cell) => cell.replaceAll('\n', '\\n')))
  return laidOut.toString().split('\n')
}

/**
 * The cells of one line of a listing that may be endless, so that no other line can be waited for: their widths are fixed,
 * and below 0 for what stands at the right. A cell that is longer is printed as long as it is.
 */
export function columns(cells: readonly (readonly [text: string, width: number])[]): string {
  return cells.map(([text, width]) => pad(text, width)).join('  ')
}

function pad(text: string, width: number): string {
  const space = ' '.repeat(Math.max(0, Math.abs(width) - stringWidth(text)))
  return width < 0 ? space + text : text + space
}
