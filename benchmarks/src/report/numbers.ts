import { spreadOf, type CellResult } from '../harness/results.js'

/** Three digits; thousands with commas. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  const rounded = Number(value.toPrecision(3))
  if (Math.abs(rounded) >= 1000) return rounded.toLocaleString('en-US')
  return String(rounded)
}

/** The median, and the least and the most where there was more than one run. */
export function formatSpread(cell: CellResult, measure: string): string {
  const runs = cell.runs[measure]
  const spread = spreadOf(runs)
  if (spread === null) return ''
  const { median, min, max } = spread
  if (runs!.length === 1 || min === max) return formatNumber(median)
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`
}

/** A name and the size of the groups, which was chosen for it. */
export function labelOf({ contestant, parameters }: Pick<CellResult, 'contestant' | 'parameters'>): string {
  return parameters['batch'] === undefined ? contestant : `${contestant} (≤ ${parameters['batch']})`
}
