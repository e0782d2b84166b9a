/** Plots, drawn by Vega-Lite without a screen, from the medians of the results or from their series. */
import { loadFrom } from '../harness/load-from.js'
import { spreadOf, type CellResult, type Results } from '../harness/results.js'
import type { Plot } from '../harness/scenario.js'
import { fits } from '../scenarios/common.js'

interface Point {
  readonly contestant: string
  readonly x: number
  readonly y: number
  readonly min?: number
  readonly max?: number
}

/** The same colour in all plots. */
const COLOURS: readonly (readonly [contestant: string, colour: string])[] = [
  ['agent-state', '#d62728'],
  ['floor', '#7f7f7f'],
  ['floor in place', '#c7c7c7'],
  ['bare files', '#bcbd22'],
  ['lmdb', '#9edae5'],
  ['lmdb batched', '#17becf'],
  ['sqlite batched', '#1f77b4'],
  ['sqlite batched + writer', '#aec7e8'],
  ['sqlite', '#98df8a'],
  ['level batched', '#2ca02c'],
  ['keyv', '#e377c2'],
  ['write-file-atomic', '#ff7f0e'],
  ['origin', '#8c564b'],
]

interface Vega {
  readonly parse: (spec: unknown) => unknown
  readonly View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}

interface VegaLite {
  readonly compile: (spec: unknown) => { readonly spec: unknown }
}

/** Null if there is nothing to draw: a line needs two points. */
export async function drawPlot(plot: Plot, results: Results): Promise<string | null> {
  const cells = results.cells.filter(({ parameters }) => fits(parameters, plot.where))
  const points = cells.flatMap((cell) =>
    plot.series === true ? seriesPoints(plot, cell) : medianPoint(plot, cell),
  )
  if (new Set(points.map(({ x }) => x)).size < 2) return null
  const [vega, vegaLite] = await Promise.all([
    loadFrom<Vega>('plots', 'vega'),
    loadFrom<VegaLite>('plots', 'vega-lite'),
  ])
  const { spec } = vegaLite.compile(specOf(plot, points))
  return new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG()
}

function medianPoint({ x, y }: Plot, { contestant, parameters, runs }: CellResult): Point[] {
  const spread = spreadOf(runs[y])
  const at = parameters[x]
  if (spread === null || typeof at !== 'number') return []
  return [{ contestant, x: at, y: spread.median, min: spread.min, max: spread.max }]
}

function seriesPoints({ x, y }: Plot, { contestant, series = [] }: CellResult): Point[] {
  return series.flatMap((measures) => {
    const [at, value] = [measures[x], measures[y]]
    return at === undefined || value === undefined ? [] : [{ contestant, x: at, y: value }]
  })
}

function specOf({ title, x, yTitle, logarithmic = 'both', series }: Plot, points: readonly Point[]): unknown {
  const shown = COLOURS.filter(([name]) => points.some(({ contestant }) => contestant === name))
  const values = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b)
  const scale = (isLogarithmic: boolean): unknown => (isLogarithmic ? { type: 'log' } : { zero: true })
  const encoding = {
    x: {
      field: 'x',
      type: 'quantitative',
      title: x,
      scale: scale(logarithmic === 'both'),
      ...(series === true ? {} : { axis: { values, labelExpr: 'format(datum.value, ",")' } }),
    },
    color: {
      field: 'contestant',
      type: 'nominal',
      title: null,
      legend: { labelLimit: 240 },
      scale: { domain: shown.map(([name]) => name), range: shown.map(([, colour]) => colour) },
    },
  }
  const y = { type: 'quantitative', title: yTitle, scale: scale(logarithmic !== 'none') }
  const line = { mark: { type: 'line', point: series !== true }, encoding: { y: { field: 'y', ...y } } }
  const spread = {
    mark: { type: 'rule', opacity: 0.5 },
    encoding: { y: { field: 'min', ...y }, y2: { field: 'max' } },
  }
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...{ title, width: 560, height: 320, background: 'white', padding: 12 },
    data: { values: points },
    encoding,
    layer: series === true ? [line] : [line, spread],
  }
}
