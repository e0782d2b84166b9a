/**
 * Counts what a long run has done (power cuts, kills, histories …), over all test files and processes of it: each count is a
 * line in a file that the torture runner names and adds up. In a plain run nothing is counted.
 */
import { appendFileSync } from 'node:fs'

export type Counted =
  | 'random seeds'
  | 'power cuts simulated'
  | 'kills simulated'
  | 'faults injected'
  | 'mistakes made and found'
  | 'files damaged'
  | 'processes killed'
  | 'sequences compared with the model'
  | 'histories checked for linearizability'
  | 'calls in these histories'

export function countOf(what: Counted, count: number): void {
  const file = process.env['AGENT_STATE_TALLY']
  if (file !== undefined && file !== '') appendFileSync(file, `${count} ${what}\n`)
}
