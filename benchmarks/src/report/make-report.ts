/** Makes tables and plots from the results that are in a folder. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MachineFacts } from '../../../dist/bench/machine.js'
import { readResults, RESULTS, resultsName, writeFormatted, type Results } from '../harness/results.js'
import type { Scenario } from '../harness/scenario.js'
import { SCENARIOS } from '../scenarios/index.js'
import { goalsTable } from './goals.js'
import { formatNumber } from './numbers.js'
import { drawPlot } from './plots.js'
import { markdownTable, resultTable } from './tables.js'

const README = fileURLToPath(new URL('../../README.md', import.meta.url))
const DELAYS_MS = [0, 1, 5]
const [BEGIN, END] = ['<!-- results: begin -->', '<!-- results: end -->']

interface Measured {
  readonly scenario: Scenario
  readonly results: Results
  readonly plots: readonly string[]
}

export async function makeReport(folder: string): Promise<void> {
  const measured: Measured[] = []
  for (const scenario of SCENARIOS) {
    for (const delay of DELAYS_MS) {
      const results = await readResults(folder, resultsName(scenario.name, delay))
      if (results === null) continue
      measured.push({ scenario, results, plots: await drawPlots(folder, scenario, results) })
    }
  }
  if (measured.length === 0) return
  await writeFormatted(join(folder, 'README.md'), reportOf(measured))
  if (folder === RESULTS) await showInReadme(measured)
}

async function drawPlots(folder: string, scenario: Scenario, results: Results): Promise<string[]> {
  const files: string[] = []
  for (const plot of scenario.plots) {
    const delay = results.flushDelayMs === 0 ? '' : `, every flush ${results.flushDelayMs} ms slower`
    const svg = await drawPlot({ ...plot, title: `${plot.title}${delay}` }, results)
    if (svg === null) continue
    const file = `${resultsName(scenario.name, results.flushDelayMs)}-${plot.name}.svg`
    await writeFile(join(folder, file), `${svg}\n`)
    files.push(file)
  }
  return files
}

function reportOf(measured: readonly Measured[]): string {
  const all = measured.map(({ results }) => results)
  return [
    '# Results',
    'Made by `npm run bench` from the JSON files beside this one. Medians of all runs, in brackets the least and the most. What the scenarios and contestants are is said in [the README](../README.md).',
    machineSection(all),
    contestantsSection(all),
    ...goalsSection(all),
    ...measured.map((one) => section(one)),
  ].join('\n\n')
}

function machineSection(all: readonly Results[]): string {
  const machines = new Map(all.map(({ machine }) => [JSON.stringify({ ...machine, flush: null }), machine]))
  const tables = [...machines.values()].map((machine) => factsTable(machine, all))
  return ['## Machine', ...tables].join('\n\n')
}

function factsTable({ flush: _, ...facts }: MachineFacts, all: readonly Results[]): string {
  const flushes = all.map(({ machine }) => machine.flush)
  const range = (values: readonly number[]): string =>
    `${formatNumber(Math.min(...values))}–${formatNumber(Math.max(...values))}`
  const flush = `p50 ${range(flushes.map(({ p50Us }) => p50Us))} µs, p99 ${range(flushes.map(({ p99Us }) => p99Us))} µs`
  const rows = Object.entries(facts).map(([name, value]) => [name, String(value)])
  return markdownTable(['fact', 'value'], [...rows, ['flush of 4 KiB, before each scenario', flush]])
}

function contestantsSection(all: readonly Results[]): string {
  const about = new Map(all.flatMap(({ contestants }) => Object.entries(contestants)))
  return ['## Contestants', markdownTable(['name', 'what it is'], [...about])].join('\n\n')
}

function goalsSection(all: readonly Results[]): string[] {
  const table = goalsTable(all)
  return table === '' ? [] : ['## Goals', table]
}

function section({ scenario, results, plots }: Measured): string {
  const { flushDelayMs, repetitions, profile, commit, startedAt, seed, failures, machine } = results
  const { p50Us, p99Us } = machine.flush
  const flush = `a flush of 4 KiB took ${formatNumber(p50Us)} µs before it (p99 ${formatNumber(p99Us)})`
  const slowed = flushDelayMs === 0 ? '' : `, every flush ${flushDelayMs} ms slower`
  return [
    `## ${scenario.name}${slowed}`,
    `**${results.question}**`,
    `${results.workload}. Durability: ${results.durability}.`,
    `${repetitions} repetitions, profile ${profile}, commit ${commit}, ${startedAt.slice(0, 10)}, seed ${seed}; ${flush}.`,
    ...plots.map((file) => `![${file}](${file})`),
    resultTable(scenario, results),
    ...failures.map((failure) => `Failed: ${failure.split('\n')[0]}`),
  ].join('\n\n')
}

/** The first page shows the goals and the main plots. */
async function showInReadme(measured: readonly Measured[]): Promise<void> {
  const shown = new Set(['distinct', 'hot-set', 'namespaces', 'value-size', 'sustained'])
  const plots = measured
    .filter(({ scenario, results }) => shown.has(scenario.name) && results.flushDelayMs === 0)
    .flatMap(({ plots }) => plots)
  const text = [
    BEGIN,
    goalsTable(measured.map(({ results }) => results)),
    'All tables: [results](results/README.md).',
    ...plots.map((file) => `![${file}](results/${file})`),
    END,
  ].join('\n\n')
  const readme = await readFile(README, 'utf8')
  const [before, rest] = readme.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${README} has no place for results`)
  await writeFormatted(README, `${before}${text}${after}`)
}
