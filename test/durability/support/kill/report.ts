/** What the child tells: one line of JSON for each thing, written before the next thing happens, so that a kill loses none. */
import { readFileSync, writeSync } from 'node:fs'
import type { KillPlan } from './kill-switch.js'
import type { Step } from '../workload.js'

export type Report =
  | { readonly kind: 'asked'; readonly step: number }
  | { readonly kind: 'acknowledged'; readonly step: number; readonly revision: number | null }
  | { readonly kind: 'failed'; readonly step: number | null; readonly code: string; readonly outcome: string }
  | { readonly kind: 'saw'; readonly namespace: string; readonly key: string; readonly value: string }
  | { readonly kind: 'unexpected'; readonly message: string }
  | { readonly kind: 'step'; readonly thread: KillPlan['thread']; readonly name: string }

export interface ChildJob {
  readonly root: string
  readonly workerUrl: string
  readonly steps: readonly Step[]
  readonly plan: KillPlan | null
  /** Report every step of the protocol. */
  readonly listSteps: boolean
}

/** The file that the parent opened for the child; all threads of a process share it. */
const REPORT_FD = 3

export function report(what: Report): void {
  writeSync(REPORT_FD, `${JSON.stringify(what)}\n`)
}

/** Names the file that holds the job. Workers get a copy of the environment, so they find it too. */
export const JOB_VARIABLE = 'AGENT_STATE_KILL_JOB'

export function readJob(): ChildJob {
  return JSON.parse(readFileSync(process.env[JOB_VARIABLE] ?? '', 'utf8')) as ChildJob
}
