/**
 * Ledger owns what the supervisor knows of the replay, independent of the process that replays: which batches there
 * are, and which were acknowledged to it with which revision. It compares that with what is durable whenever a process
 * says what it found.
 *
 * A batch is open, acknowledged, or found durable (the process was killed between making it durable and saying so).
 */
import type { Acknowledgement, Audit, Overwrite, Progress } from './messages.js'
import type { PlannedBatch } from './plan.js'

/** Something else is true of a batch than what was acknowledged or planned. */
export interface Loss {
  readonly namespace: string
  readonly commit: number
  readonly problem: string
}

interface NamespaceLedger {
  readonly batches: readonly PlannedBatch[]
  /** Where the batch of a commit is among them. */
  readonly positions: ReadonlyMap<number, number>
  /** How many of the batches, the first ones, were durable when it was last looked. */
  durable: number
  /** Commits and the revisions they were acknowledged with. */
  readonly acknowledged: Map<number, number>
  /** How many of the durable ones were not acknowledged. */
  found: number
}

export class Ledger {
  readonly #namespaces: ReadonlyMap<string, NamespaceLedger>
  readonly #losses: Loss[] = []
  readonly #overwrites: Overwrite[] = []
  readonly #wrongConflicts: string[] = []
  #acknowledged = 0
  #operations = 0
  #audited = 0

  constructor(batches: ReadonlyMap<string, readonly PlannedBatch[]>) {
    this.#namespaces = new Map(Array.from(batches, ([namespace, planned]) => [namespace, begin(planned)]))
  }

  get losses(): readonly Loss[] {
    return this.#losses
  }

  /** Who overwrote whom, as the store reported it with the acknowledgements. */
  get overwrites(): readonly Overwrite[] {
    return this.#overwrites
  }

  /** Those of batches found durable, whose reports went down with the process: as the history has them. */
  get unreportedOverwrites(): readonly Overwrite[] {
    return Array.from(this.#namespaces.values()).flatMap(({ batches, durable, acknowledged }) =>
      batches
        .slice(0, durable)
        .flatMap(({ commit, overwrites }) => (acknowledged.has(commit) ? [] : overwrites)),
    )
  }

  /** Conflicts that the store reported and the history has not, or the other way round. */
  get wrongConflicts(): readonly string[] {
    return this.#wrongConflicts
  }

  /** Batches acknowledged, those included that were lost and acknowledged again. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Writes and deletes in acknowledged batches. */
  get operations(): number {
    return this.#operations
  }

  /** Files that were compared with the history after a kill. */
  get audited(): number {
    return this.#audited
  }

  /** Batches that are durable although the process was killed before it said so. */
  get foundDurable(): number {
    return this.#sum(({ found }) => found)
  }

  /** Batches of which nothing is known yet. */
  get open(): number {
    return this.#sum(({ batches, found, acknowledged }) => batches.length - found - acknowledged.size)
  }

  acknowledge(acknowledgement: Acknowledgement): void {
    const { namespace, commit, revision, operations, overwrites, wrongConflicts } = acknowledgement
    const ledger = this.#namespaces.get(namespace)
    const position = ledger?.positions.get(commit) ?? -1
    if (ledger === undefined || position < ledger.durable || ledger.acknowledged.has(commit)) {
      this.#losses.push({ namespace, commit, problem: 'was acknowledged though it was not to be done' })
      return
    }
    ledger.acknowledged.set(commit, revision)
    this.#acknowledged += 1
    this.#operations += operations
    this.#overwrites.push(...overwrites)
    this.#wrongConflicts.push(...wrongConflicts)
  }

  /** Takes what a process found in the store. What was acknowledged and is not there is lost. */
  compare(progress: readonly Progress[]): void {
    const found = new Map(progress.map((entry) => [entry.namespace, entry]))
    for (const [namespace, ledger] of this.#namespaces) {
      this.#compareNamespace(namespace, ledger, found.get(namespace))
    }
    for (const { namespace, commit } of progress) {
      if (this.#namespaces.has(namespace)) continue
      this.#losses.push({ namespace, commit, problem: 'is in a namespace that the history has not' })
    }
  }

  #compareNamespace(namespace: string, ledger: NamespaceLedger, found: Progress | undefined): void {
    const { batches, positions, acknowledged } = ledger
    const durable = found === undefined ? 0 : (positions.get(found.commit) ?? -1) + 1
    const lose = (commit: number, problem: string): void => {
      this.#losses.push({ namespace, commit, problem })
    }
    if (found !== undefined && durable === 0) lose(found.commit, 'is not part of the namespace')
    batches.slice(durable).forEach(({ commit }, index) => {
      if (acknowledged.delete(commit)) lose(commit, 'was acknowledged and is lost')
      else if (durable + index < ledger.durable) lose(commit, 'was durable and is lost')
    })
    const revision = found && acknowledged.get(found.commit)
    if (found !== undefined && revision !== undefined && revision !== found.revision) {
      lose(found.commit, `was acknowledged as revision ${revision} and is now ${found.revision}`)
    }
    ledger.durable = durable
    ledger.found = durable - acknowledged.size
  }

  audit({ namespace, commit, files, differences }: Audit): void {
    this.#audited += files
    for (const difference of differences) {
      this.#losses.push({ namespace, commit, problem: `was durable, but then ${difference}` })
    }
  }

  #sum(of: (ledger: NamespaceLedger) => number): number {
    let sum = 0
    for (const ledger of this.#namespaces.values()) sum += of(ledger)
    return sum
  }
}

function begin(batches: readonly PlannedBatch[]): NamespaceLedger {
  const positions = new Map(batches.map(({ commit }, position) => [commit, position]))
  return { batches, positions, durable: 0, acknowledged: new Map(), found: 0 }
}
