/**
 * CheckedStore owns a store and the model of one namespace of it, runs steps on both, and compares all that can be
 * observed: results, errors, conflict records, events, watch items, lists and entries.
 */
import { expect } from 'vitest'
import type {
  Change,
  ConflictRule,
  DeleteResult,
  Session,
  Store,
  WatchItem,
  WriteOptions,
  WriteResult,
} from '../../src/api.js'
import type { StoreOptions } from '../../src/contract/index.js'
import {
  collect,
  failureOf,
  iteratorOf,
  record,
  takeUntil,
  type Recording,
} from '../../src/contract/observe.js'
import { AgentStateError } from '../../src/errors.js'
import {
  briefChange,
  briefConflict,
  briefEntry,
  decode,
  expectedEntries,
  runSingle,
  sortedWithin,
  toOperation,
  type BriefChange,
} from './brief.js'
import {
  NamespaceModel,
  type Judgement,
  type ModelChange,
  type ModelOperation,
  type ModelSession,
  type WriterId,
} from './model.js'
import type { RevisionChoice, Step, StepOperation, StepOptions } from './sequences.js'
import type { StoredState } from './stores.js'

const NAMESPACE = 'checked'
/** The last one belongs to the checks themselves: no step names it. */
const WRITERS: readonly WriterId[] = ['ann', 'ben', 'ann', 'cid', null, null]
const OWN = WRITERS.length - 1
const NO_OPTIONS: StepOptions = { conflictPolicy: undefined, detect: undefined }

export interface StoreUse extends StoreOptions {
  /** Given: no step chooses another. */
  readonly detect?: ConflictRule | undefined
}

interface Pair {
  readonly real: Session
  readonly model: ModelSession
}

export class CheckedStore {
  readonly #state: StoredState
  readonly #use: StoreUse
  readonly #model = new NamespaceModel()
  /** Revisions that the key had, for conditions that must not hold any more. */
  readonly #old = new Map<string, number>()
  #store!: Store
  #pairs: Pair[] = []
  #expected: BriefChange[] = []
  #changes!: Recording<Change>
  #items!: AsyncIterator<WatchItem>
  #lastRevision = 0

  constructor(state: StoredState, use: StoreUse = {}) {
    this.#state = state
    this.#use = use
  }

  async open(): Promise<void> {
    this.#store = await this.#state.open(this.#use)
    const base = await this.#store.init(NAMESPACE)
    this.#pairs = WRITERS.map((writer) => this.#pairOf(base, writer))
    this.#model.forget()
    this.#expected = []
    this.#changes = record(this.#store.events, 'change', { namespace: NAMESPACE })
    this.#items = iteratorOf(base.watch())
    await this.#compareState()
  }

  async close(flush = true): Promise<void> {
    await this.#compareEvents()
    await this.#store.close({ flush })
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#run(step)
    await this.#compareState()
  }

  async #run(step: Step): Promise<void> {
    switch (step.do) {
      case 'change':
        return this.#change(step.session, [step.operation], step.options, false)
      case 'batch':
        return this.#change(step.session, step.operations, step.options, true)
      case 'update':
        return this.#update(step)
      case 'read':
        return this.#read(step)
      case 'entries':
        return this.#entries(step)
      case 'with': {
        const { real } = this.#pairs[step.session]!
        this.#pairs[step.session] = this.#pairOf(real, step.writer)
        return
      }
      case 'flush':
        return this.#store.flush()
      case 'init':
        await this.#store.init(NAMESPACE)
        return
      case 'remove':
        return this.#remove()
      case 'reopen':
        await this.close(step.flush)
        return this.open()
    }
  }

  async #change(
    index: number,
    operations: readonly StepOperation[],
    options: StepOptions,
    isBatch: boolean,
  ): Promise<void> {
    const { real } = this.#pairs[index]!
    const session = this.#sessionWith(index, options)
    const resolved = operations.map((operation) => this.#resolve(operation))
    const judgement = this.#model.judge(session, resolved)
    const act = isBatch
      ? () => real.batch(resolved.map(toOperation), this.#options(options))
      : async () => [await runSingle(real, resolved[0]!, this.#options(options))]
    if (judgement.kind === 'refused') await expectRefused(judgement, act)
    else this.#accept(session, resolved, judgement, await act())
  }

  #accept(
    session: ModelSession,
    operations: readonly ModelOperation[],
    judgement: Extract<Judgement, { kind: 'accepted' }>,
    results: readonly (WriteResult | DeleteResult)[],
  ): void {
    expect(results.map((result) => briefConflict(result.conflict))).toEqual(judgement.conflicts)
    expect(results.map((result) => result.key)).toEqual(operations.map(({ key }) => key))
    const deleted = results.map((result) => ('deleted' in result ? result.deleted : null))
    const { entries } = this.#model
    expect(deleted).toEqual(operations.map(({ key, value }) => (value === null ? entries.has(key) : null)))
    const revisions = results.map((result) => result.revision).filter((revision) => revision !== null)
    const [revision = null, ...others] = new Set(revisions)
    expect(others).toEqual([])
    expect(revision !== null).toBe(judgement.changes.length > 0)
    this.#log(judgement.changes, revision)
    this.#model.apply(session, operations, revision)
  }

  #log(changes: readonly ModelChange[], revision: number | null): void {
    if (revision === null) return
    expect(revision).toBeGreaterThan(this.#lastRevision)
    this.#lastRevision = revision
    for (const change of changes) {
      const before = this.#model.entries.get(change.key)
      if (before !== undefined) this.#old.set(change.key, before.revision)
      this.#expected.push({ ...change, revision })
    }
  }

  async #update(step: Extract<Step, { do: 'update' }>): Promise<void> {
    const { real } = this.#pairs[step.session]!
    const session = this.#sessionWith(step.session, step.options)
    const before = this.#model.see(session, step.key)?.value ?? null
    const next = step.next === 'keep' ? undefined : step.next === 'delete' ? null : `${before ?? ''}+`
    const seen: (string | null)[] = []
    const act = () => real.update(step.key, (value) => (seen.push(value), next), this.#options(step.options))
    if (next === undefined) {
      expect(await act()).toBeNull()
    } else {
      const operations = [{ key: step.key, value: next }]
      const judgement = this.#model.judge(session, operations)
      if (judgement.kind === 'refused') await expectRefused(judgement, act)
      else this.#accept(session, operations, judgement, [(await act())!])
    }
    expect(seen).toEqual([before])
  }

  async #read(step: Extract<Step, { do: 'read' }>): Promise<void> {
    const { real, model } = this.#pairs[step.session]!
    if (step.how === 'stat') {
      const stat = await real.stat(step.key)
      const entry = this.#model.entries.get(step.key)
      expect(stat?.revision).toBe(entry?.revision)
      expect(stat?.writer?.writerId ?? null).toBe(entry?.writer ?? null)
      return
    }
    const entry = this.#model.see(model, step.key)
    if (step.how === 'read') expect(await real.read(step.key)).toBe(entry?.value ?? null)
    if (step.how === 'bytes') expect(decode(await real.readBytes(step.key))).toBe(entry?.value ?? null)
    if (step.how === 'entry') expect((await real.entry(step.key))?.revision).toBe(entry?.revision)
  }

  async #entries(step: Extract<Step, { do: 'entries' }>): Promise<void> {
    const { real, model } = this.#pairs[step.session]!
    const found = await collect(real.entries({ prefix: step.prefix }))
    expect(found.map(briefEntry)).toEqual(expectedEntries(this.#model, step.prefix))
    for (const { key } of found) this.#model.see(model, key)
  }

  /** Removes the namespace and makes it anew; the event of a marker tells that all deletions were published. */
  async #remove(): Promise<void> {
    expect(await this.#store.remove(NAMESPACE)).toBe(true)
    const keys = this.#model.keys()
    this.#model.remove()
    await this.#store.init(NAMESPACE)
    this.#model.exists = true
    const { real, model } = this.#pairs[OWN]!
    const { revision } = await real.write('marker', '')
    const all = await this.#changes.until((change) => change.revision === revision)
    const removed = all.slice(this.#expected.length, -1).map(briefChange)
    const [removal = revision - 1] = removed.map((change) => change.revision)
    const expected = keys.map((key) => ({ key, kind: 'delete' as const, writer: null }))
    expect(sortedWithin(removed)).toEqual(
      sortedWithin(expected.map((change) => ({ ...change, revision: removal }))),
    )
    this.#log(expected, removal)
    this.#log([{ key: 'marker', kind: 'write', writer: null }], revision)
    this.#model.apply(model, [{ key: 'marker', value: '' }], revision)
    await this.#ownChange('marker', null)
  }

  async #compareState(): Promise<void> {
    const fresh = await this.#store.resume(NAMESPACE)
    expect(await fresh.list()).toEqual(this.#model.keys())
    expect(await fresh.list({ reverse: true })).toEqual(this.#model.keys().reverse())
    const entries = await collect(fresh.entries())
    expect(entries.map(briefEntry)).toEqual(expectedEntries(this.#model))
    expect(await collect(this.#store.namespaces())).toEqual([NAMESPACE])
  }

  /** Events and watch items are the accepted changes, in their order, with nothing between. */
  async #compareEvents(): Promise<void> {
    await this.#ownChange('last', '')
    const last = this.#lastRevision
    const expected = sortedWithin(this.#expected)
    const changes = await this.#changes.until((change) => change.revision === last)
    expect(sortedWithin(changes.map(briefChange))).toEqual(expected)
    const items = await takeUntil(this.#items, (list) => list.at(-1)?.revision === last)
    expect(sortedWithin(items.map((item) => briefChange(item as Change)))).toEqual(expected)
    await this.#items.return?.()
    this.#changes.stop()
  }

  #ownChange(key: string, value: string | null): Promise<void> {
    return this.#change(OWN, [{ key, value, ifRevision: 'none', seenRevision: 'none' }], NO_OPTIONS, false)
  }

  #resolve({ key, value, ifRevision, seenRevision }: StepOperation): ModelOperation {
    return {
      key,
      value,
      ifRevision: this.#revision(key, ifRevision),
      seenRevision: this.#revision(key, seenRevision),
    }
  }

  #revision(key: string, choice: RevisionChoice): number | null | undefined {
    if (choice === 'none') return undefined
    if (choice === 'current') return this.#model.entries.get(key)?.revision ?? null
    if (choice === 'missing') return null
    if (choice === 'old') return this.#old.get(key) ?? 0
    return this.#lastRevision + 1000
  }

  /** The session as the options make it; what it saw stays its own. */
  #sessionWith(index: number, options: StepOptions): ModelSession {
    const { model } = this.#pairs[index]!
    const detect = this.#use.detect ?? options.detect ?? model.detect
    return { ...model, detect, policy: options.conflictPolicy ?? model.policy }
  }

  #options({ conflictPolicy, detect }: StepOptions): WriteOptions {
    return { conflictPolicy, detect: this.#use.detect ?? detect }
  }

  #pairOf(base: Session, writer: WriterId): Pair {
    const real = base.with({ writer: writer === null ? {} : { writerId: writer } })
    const detect = this.#use.detect ?? 'lost-update'
    return { real, model: { writer, detect, policy: 'ignore', seen: new Map() } }
  }
}

async function expectRefused(
  judgement: Extract<Judgement, { kind: 'refused' }>,
  act: () => Promise<unknown>,
): Promise<void> {
  const error = await failureOf(act)
  if (!AgentStateError.is(error) || !judgement.codes.has(error.code)) {
    const expected = [...judgement.codes].join(' or ')
    throw new Error(`expected ${expected}, got ${String(error)}`, { cause: error })
  }
  expect(error.outcome).toBe('unchanged')
  if (AgentStateError.is(error, 'CONFLICT')) {
    expect(judgement.conflicts).toContainEqual(briefConflict(error.conflict))
  }
}
