import type { CellResult, Results } from '../harness/results.js'
import type { Scenario } from '../harness/scenario.js'
import { formatSpread, labelOf } from './numbers.js'

/** Numbers are aligned on the right, text on the left. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = head.map((_, column) =>
    rows.some((cells) => /^\d/.test(cells[column] ?? '')) && column > 0 ? '--:' : '---',
  )
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

const TITLES: Readonly<Record<string, string>> = {
  valueBytes: 'bytes',
  mib: 'MiB',
  rate: 'asked writes/s',
}

/** All cells of a scenario, faster or slower, in the order of parameters and contestants. */
export function resultTable({ columns }: Scenario, { cells }: Results): string {
  const names = varying(cells)
  const shown = columns.filter(({ measure }) => cells.some(({ runs }) => runs[measure] !== undefined))
  const head = ['', ...names.map((name) => TITLES[name] ?? name), ...shown.map(({ title }) => title)]
  const rows = cells
    .toSorted((a, b) => compareParameters(a, b, names))
    .map((cell) => [
      labelOf(cell),
      ...names.map((name) => String(cell.parameters[name] ?? '')),
      ...shown.map(({ measure }) => formatSpread(cell, measure)),
    ])
  return markdownTable(head, rows)
}

/** Parameters that not all cells have in common. */
function varying(cells: readonly CellResult[]): string[] {
  const names = new Set(cells.flatMap(({ parameters }) => Object.keys(parameters)))
  names.delete('batch')
  return [...names].filter((name) => new Set(cells.map(({ parameters }) => parameters[name])).size > 1)
}

/** Cells with the same parameters keep their order, which is that of the contestants. */
function compareParameters(a: CellResult, b: CellResult, names: readonly string[]): number {
  for (const name of names) {
    const [one, other] = [a.parameters[name] ?? '', b.parameters[name] ?? '']
    if (one === other) continue
    return typeof one === 'number' && typeof other === 'number'
      ? one - other
      : String(one) < String(other)
        ? -1
        : 1
  }
  return 0
}
