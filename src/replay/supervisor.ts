/**
 * The supervisor owns the process that replays: it starts it, kills it in the middle, starts the next one, and keeps the
 * ledger of what each of them acknowledged. It never looks into the store.
 *
 * A process that ends in any other way than by being killed or finishing ends the replay.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Kill } from './kill-plan.js'
import { Ledger } from './ledger.js'
import type { FromChild, Job, ToChild } from './messages.js'
import type { Plan } from './plan.js'

export interface Supervision {
  readonly job: Job
  readonly batches: Plan['batches']
  readonly kills: readonly Kill[]
  readonly signal?: AbortSignal | undefined
  /** Called whenever something became known. */
  readonly onProgress?: ((progress: SupervisionProgress) => void) | undefined
  /** Another program in place of the replaying process, for tests. */
  readonly program?: URL | undefined
}

export interface SupervisionProgress {
  readonly type: 'started' | 'acknowledged' | 'killed'
  /** Batches that are acknowledged or were found durable. */
  readonly settled: number
  readonly batches: number
  readonly kills: number
  /** Writes and deletes acknowledged. */
  readonly operations: number
}

export interface Supervised {
  readonly ledger: Ledger
  /** How many batches were settled at each kill. */
  readonly kills: readonly number[]
  /** Null: the replay came to its end. */
  readonly failure: string | null
}

export async function supervise(supervision: Supervision): Promise<Supervised> {
  const ledger = new Ledger(supervision.batches)
  const kills: number[] = []
  for (;;) {
    const run = new ProcessRun(supervision, ledger, kills)
    const end = await run.end
    if (end !== 'killed') return { ledger, kills, failure: end === 'finished' ? null : end.failure }
  }
}

type ProcessEnd = 'killed' | 'finished' | { readonly failure: string }

/** One process from its start to its end. */
class ProcessRun {
  readonly end: Promise<ProcessEnd>
  readonly #supervision: Supervision
  readonly #ledger: Ledger
  readonly #kills: number[]
  readonly #batches: number
  readonly #child: ChildProcess
  #killTimer: NodeJS.Timeout | null = null
  #said: 'nothing' | 'replayed' | 'finished' = 'nothing'
  #failure: string | null = null

  constructor(supervision: Supervision, ledger: Ledger, kills: number[]) {
    this.#supervision = supervision
    this.#ledger = ledger
    this.#kills = kills
    this.#batches = Array.from(supervision.batches.values(), ({ length }) => length).reduce(
      (a, b) => a + b,
      0,
    )
    this.#child = startProcess(supervision.program ?? new URL('./child.js', import.meta.url))
    this.end = this.#watch()
  }

  async #watch(): Promise<ProcessEnd> {
    const { signal, job } = this.#supervision
    const abort = (): boolean => this.#child.kill('SIGKILL')
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    this.#child.on('message', (message: FromChild) => this.#take(message))
    this.#tell({ type: 'start', job })
    this.#report('started')
    this.#planKill()
    const status = await endOf(this.#child)
    if (this.#killTimer !== null) clearTimeout(this.#killTimer)
    signal?.removeEventListener('abort', abort)
    return this.#judge(status)
  }

  #judge(status: string): ProcessEnd {
    if (this.#supervision.signal?.aborted === true) return { failure: 'the replay was interrupted' }
    if (this.#said === 'finished') return 'finished'
    if (this.#failure !== null) return { failure: this.#failure }
    if (this.#killTimer === null || status !== 'SIGKILL') {
      return { failure: `the replaying process ended by itself (${status})` }
    }
    this.#kills.push(this.#settled)
    this.#report('killed')
    return 'killed'
  }

  #take(message: FromChild): void {
    switch (message.type) {
      case 'resumed':
        this.#ledger.compare(message.progress)
        break
      case 'audited':
        this.#ledger.audit(message.audit)
        return
      case 'acknowledged':
        for (const batch of message.batches) this.#ledger.acknowledge(batch)
        this.#report('acknowledged')
        break
      case 'replayed':
        this.#said = 'replayed'
        this.#ledger.compare(message.progress)
        // A kill that is under way comes first: what follows is to happen once.
        if (this.#killTimer === null) this.#tell({ type: 'finish' })
        return
      case 'finished':
        this.#said = 'finished'
        return
      case 'failed':
        this.#failure = message.message
        return
    }
    this.#planKill()
  }

  #planKill(): void {
    const kill = this.#supervision.kills[this.#kills.length]
    if (kill === undefined || this.#killTimer !== null || this.#settled < kill.acknowledged) return
    this.#killTimer = setTimeout(() => this.#child.kill('SIGKILL'), kill.delayMs)
  }

  get #settled(): number {
    return this.#batches - this.#ledger.open
  }

  #tell(message: ToChild): void {
    // It may have ended already, which is noticed elsewhere.
    this.#child.send(message, () => {})
  }

  #report(type: SupervisionProgress['type']): void {
    this.#supervision.onProgress?.({
      type,
      settled: this.#settled,
      batches: this.#batches,
      kills: this.#kills.length,
      operations: this.#ledger.operations,
    })
  }
}

function startProcess(program: URL): ChildProcess {
  return fork(fileURLToPath(program), { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

/** Waits until the process is gone and everything it had said has arrived; gives its exit status or signal. */
async function endOf(child: ChildProcess): Promise<string> {
  const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve))
  const status = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? String(code)))
  })
  if (child.connected) await disconnected
  return status
}
