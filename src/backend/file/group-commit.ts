/**
 * GroupCommit owns the way of plans into the journal: one frame for the plans of all namespaces that are committed
 * together. What the upkeep carries takes its turn between them.
 *
 * - I1: a plan is answered `committed` after the sync of its frame. I2: it enters the backlog, where reads find it, then.
 * - I8: after a failed append nothing is appended any more; the plans of that frame are `unknown`, later ones unchanged.
 * - On a full disk deletions still get through (`Journal` keeps room for them); plans with writes are rejected.
 */
import { stateError, type AgentStateError } from '../../errors.js'
import type { CommitOutcome, Plan } from '../backend.js'
import type { Backlog } from './backlog.js'
import type { Checkpointer } from './checkpointer.js'
import { FrameEncoder } from './frame-encoder.js'
import type { Appended, Journal } from './journal.js'

export interface GroupCommitOptions {
  readonly journal: Journal
  readonly backlog: Backlog
  readonly checkpointer: Checkpointer
  /** Of what can't be brought into the tree; beyond either of them writes to its namespaces are refused. */
  readonly stuckKeysMax: number
  readonly stuckBytesMax: number
  /** The append failed: no further write will be acknowledged. */
  onFailure(cause: unknown): AgentStateError
  /** Something was added to the backlog. */
  onCommitted(): void
  /** There was no room for a frame. */
  onNoRoom(): void
}

/** A plan that is going into a frame. */
interface Entry {
  readonly plan: Plan
  /** Place of its outcome. */
  readonly index: number
  readonly revision: number
}

export class GroupCommit {
  readonly #options: GroupCommitOptions
  readonly #encoders: FrameEncoder[] = []
  /** The append that was asked for last. */
  #tail: Promise<unknown> = Promise.resolve()
  #failure: AgentStateError | null = null
  #underWay = 0

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#underWay === 0
  }

  async commit(plans: readonly Plan[]): Promise<readonly CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    const entries: Entry[] = []
    plans.forEach((plan, index) => {
      const refused = this.#refusal(plan)
      if (refused !== null) outcomes[index] = refused
      else entries.push({ plan, index, revision: this.#options.checkpointer.take(plan.units.length) })
    })
    if (entries.length > 0) {
      const encoder = this.#encode(entries)
      await this.#inTurn(() => this.#append(entries, encoder, outcomes))
      this.#encoders.push(encoder)
    }
    return outcomes
  }

  /** Appends records of the caller's, which are asked for when it is their turn. False: there is no room, or no store. */
  carry(encode: () => FrameEncoder, onDurable: (appended: Appended) => void): Promise<boolean> {
    return this.#inTurn(async () => this.#appendRoomy(encode(), onDurable))
  }

  /** Resolves when what was asked for before has ended. */
  async settled(): Promise<void> {
    await this.#tail
  }

  fail(cause: unknown): void {
    this.#failure ??= this.#options.onFailure(cause)
  }

  #refusal(plan: Plan): CommitOutcome | null {
    if (this.#failure !== null) return { status: 'rejected', error: this.#failure }
    const { backlog, stuckKeysMax, stuckBytesMax } = this.#options
    if (backlog.stuckCount < stuckKeysMax && backlog.stuckBytes < stuckBytesMax) return null
    const stuck = backlog.get(plan.namespace)?.stuckCount ?? 0
    // Deletions may be what makes room for the others.
    if (stuck === 0 || onlyDeletes(plan)) return null
    const message = `${stuck} keys of namespace '${plan.namespace}' can't be brought into the tree; only deletions are taken`
    const error = stateError('TREE_STUCK', message, { namespace: plan.namespace })
    return { status: 'rejected', error, deletesOnly: true }
  }

  #encode(entries: readonly Entry[], encoder = this.#encoders.pop() ?? new FrameEncoder()): FrameEncoder {
    encoder.reset()
    for (const { plan, revision } of entries) encoder.add(plan, revision)
    return encoder
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    this.#underWay++
    const turn = this.#tail.then(act)
    this.#tail = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#underWay--
    }
  }

  /** Never rejects: what happens to the frame is what its plans are answered. */
  async #append(entries: readonly Entry[], encoder: FrameEncoder, outcomes: CommitOutcome[]): Promise<void> {
    const { journal, checkpointer } = this.#options
    if (this.#failure !== null) return this.#reject(entries, this.#failure, outcomes)
    try {
      const last = entries.at(-1)!
      await checkpointer.ensureCeiling(last.revision + last.plan.units.length)
    } catch (error) {
      this.fail(error)
      return this.#reject(entries, this.#failure!, outcomes)
    }
    const deletes = entries.every(({ plan }) => onlyDeletes(plan))
    const noRoom = await journal.makeRoom(encoder.frameBytes, deletes)
    if (this.#failure !== null) return this.#reject(entries, this.#failure, outcomes)
    if (noRoom !== null) return this.#appendDeletes(entries, encoder, outcomes, noRoom)
    try {
      await journal.append(encoder, (appended) => {
        // The root was lost meanwhile, perhaps with what was just synced.
        if (this.#failure !== null) throw this.#failure
        this.#committed(entries, encoder, appended, outcomes)
      })
    } catch (error) {
      this.fail(error)
      for (const { index, revision } of entries) {
        outcomes[index] = { status: 'unknown', revision, cause: error }
      }
    }
  }

  async #appendRoomy(encoder: FrameEncoder, onDurable: (appended: Appended) => void): Promise<boolean> {
    const { journal } = this.#options
    if (this.#failure !== null) return false
    if ((await journal.makeRoom(encoder.frameBytes, true)) !== null) return false
    try {
      await journal.append(encoder, onDurable)
      return true
    } catch (error) {
      this.fail(error)
      return false
    }
  }

  /** There is no room for the frame: the plans that only delete are tried alone. */
  async #appendDeletes(
    entries: readonly Entry[],
    encoder: FrameEncoder,
    outcomes: CommitOutcome[],
    code: string,
  ): Promise<void> {
    this.#options.onNoRoom()
    const deleting = entries.filter(({ plan }) => onlyDeletes(plan))
    const error = stateError('NO_SPACE', `there is no room for the journal (${code})`, { cause: code })
    for (const { index } of entries) outcomes[index] = { status: 'rejected', error, deletesOnly: true }
    if (deleting.length === entries.length) {
      for (const { index } of entries) outcomes[index] = { status: 'rejected', error }
    } else if (deleting.length > 0) {
      await this.#append(deleting, this.#encode(deleting, encoder), outcomes)
    }
  }

  #reject(entries: readonly Entry[], error: AgentStateError, outcomes: CommitOutcome[]): void {
    for (const { index } of entries) outcomes[index] = { status: 'rejected', error }
  }

  #committed(
    entries: readonly Entry[],
    encoder: FrameEncoder,
    { segment, offset }: Appended,
    outcomes: CommitOutcome[],
  ): void {
    const { backlog } = this.#options
    let value = 0
    for (const { plan, index, revision } of entries) {
      const { namespace, atMs } = plan
      outcomes[index] = { status: 'committed', revision }
      for (let i = 0; i < plan.units.length; i++) {
        const unit = plan.units[i]!
        const unitRevision = revision + i
        if (unit.kind === 'create') backlog.addCreate(namespace, unitRevision, atMs, segment)
        if (unit.kind === 'remove') backlog.addRemove(namespace, unitRevision, atMs, segment)
        if (unit.kind !== 'change') continue
        for (const change of unit.changes) {
          if (change.kind === 'delete') {
            backlog.addDelete(namespace, { key: change.key, revision: unitRevision, atMs, segment })
            continue
          }
          const { key, writer, writerAtS, anonymous, size } = change
          const position = offset + encoder.valueOffsets[value]!
          const crc = encoder.valueCrcs[value]!
          value++
          const record = {
            key,
            revision: unitRevision,
            atMs,
            segment,
            writer,
            writerAtS,
            anonymous,
            size,
            crc,
            position,
          }
          backlog.addWrite(namespace, record)
        }
      }
    }
    this.#options.onCommitted()
  }
}

function onlyDeletes(plan: Plan): boolean {
  return plan.units.every((unit) =>
    unit.kind === 'change' ? unit.changes.every(({ kind }) => kind === 'delete') : unit.kind === 'remove',
  )
}
