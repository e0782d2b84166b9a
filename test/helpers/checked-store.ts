/**
 * CheckedStore owns a store and the model of one namespace of it, runs steps on both, and compares all that can be
 * observed: results, errors, conflict records, events, watch items, lists and entries.
 */
import { expect } from 'vitest'
import type { Change, Conflict, Operation, Session, Store, WatchItem, WriteOptions } from '../../src/api.js'
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
  NamespaceModel,
  type ModelConflict,
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

type LoggedChange = Pick<Change, 'key' | 'kind' | 'revision'> & { readonly writer: WriterId }

interface Pair {
  readonly real: Session
  readonly model: ModelSession
}

export class CheckedStore {
  readonly #state: StoredState
  readonly #model = new NamespaceModel()
  /** Revisions that the key had, for conditions that must not hold any more. */
  readonly #old = new Map<string, number>()
  #store!: Store
  #pairs: Pair[] = []
  #expected: LoggedChange[] = []
  #changes!: Recording<Change>
  #items!: AsyncIterator<WatchItem>
  #lastRevision = 0
  #openings = 0

  constructor(state: StoredState) {
    this.#state = state
  }

  async open(): Promise<void> {
    this.#store = await this.#state.open()
    this.#openings += 1
    const base = this.#model.exists ? await this.#store.init(NAMESPACE) : this.#sessionOfNothing()
    this.#pairs = WRITERS.map((writer) => pairOf(base, writer))
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
        this.#pairs[step.session] = pairOf(real, step.writer)
        return
      }
      case 'flush':
        return this.#store.flush()
      case 'init':
        await this.#store.init(NAMESPACE)
        this.#model.exists = true
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
    const { real, model } = this.#pairs[index]!
    const session = {
      ...model,
      detect: options.detect ?? model.detect,
      policy: options.conflictPolicy ?? model.policy,
    }
    const resolved = operations.map((operation) => this.#resolve(operation))
    const judgement = this.#model.judge(session, resolved)
    const act = isBatch
      ? () => real.batch(resolved.map(toOperation), given(options))
      : async () => [await single(real, resolved[0]!, options)]
    if (operations.length > 0 && judgement.kind === 'refused') {
      const error = await failureOf(act)
      const codes = [...judgement.codes].join(' or ')
      if (!AgentStateError.is(error) || !judgement.codes.has(error.code)) throw unexpected(error, codes)
      expect(error.outcome).toBe('unchanged')
      if (AgentStateError.is(error, 'CONFLICT'))
        expect(judgement.conflicts).toContainEqual(brief(error.conflict))
      return
    }
    const results = await act()
    if (judgement.kind === 'refused') return
    expect(results.map((result) => (result.conflict === null ? null : brief(result.conflict)))).toEqual(
      judgement.conflicts,
    )
    expect(results.map((result) => result.key)).toEqual(resolved.map(({ key }) => key))
    const deleted = results.map((result) => ('deleted' in result ? result.deleted : null))
    expect(deleted).toEqual(
      resolved.map(({ key, value }) => (value === null ? this.#model.entries.has(key) : null)),
    )
    const revisions = new Set(
      results.map((result) => result.revision).filter((revision) => revision !== null),
    )
    expect(revisions.size).toBe(judgement.changes.length > 0 ? 1 : 0)
    const [revision = null] = [...revisions]
    this.#log(judgement.changes, revision)
    this.#model.apply(session, resolved, revision)
  }

  #log(
    changes: readonly { key: string; kind: 'write' | 'delete'; writer: WriterId }[],
    revision: number | null,
  ): void {
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
    const { real, model } = this.#pairs[step.session]!
    const session = {
      ...model,
      detect: step.options.detect ?? model.detect,
      policy: step.options.conflictPolicy ?? model.policy,
    }
    const before = this.#model.entries.get(step.key)
    const next = step.next === 'keep' ? undefined : step.next === 'delete' ? null : `${before?.value ?? ''}+`
    const seen: (string | null)[] = []
    const act = () => real.update(step.key, (value) => (seen.push(value), next), given(step.options))
    if (next === undefined) {
      expect(await act()).toBeNull()
      this.#model.see(session, step.key)
      return
    }
    const operation: ModelOperation = { key: step.key, value: next }
    this.#model.see(session, step.key)
    const judgement = this.#model.judge(session, [operation])
    if (judgement.kind === 'refused') {
      const error = await failureOf(act)
      if (!AgentStateError.is(error) || !judgement.codes.has(error.code))
        throw unexpected(error, [...judgement.codes].join(' or '))
      if (this.#model.exists) expect(seen).toEqual([before?.value ?? null])
      return
    }
    const result = (await act())!
    expect(seen).toEqual([before?.value ?? null])
    expect(result.conflict === null ? null : brief(result.conflict)).toEqual(judgement.conflicts[0])
    this.#log(judgement.changes, result.revision)
    this.#model.apply(session, [operation], result.revision)
  }

  async #read(step: Extract<Step, { do: 'read' }>): Promise<void> {
    if (!this.#model.exists) return
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
    if (!this.#model.exists) return
    const { real, model } = this.#pairs[step.session]!
    const found = await collect(real.entries({ prefix: step.prefix }))
    const keys = this.#model.keys().filter((key) => key.startsWith(step.prefix))
    expect(found.map((entry) => entry.key)).toEqual(keys)
    for (const entry of found) {
      const expected = this.#model.see(model, entry.key)!
      expect([entry.revision, decode(entry.value), entry.writer?.writerId ?? null, entry.external]).toEqual([
        expected.revision,
        expected.value,
        expected.writer,
        false,
      ])
    }
  }

  async #remove(): Promise<void> {
    expect(await this.#store.remove(NAMESPACE)).toBe(this.#model.exists)
    if (!this.#model.exists) return
    const keys = this.#model.keys()
    this.#model.remove()
    await this.#store.init(NAMESPACE)
    this.#model.exists = true
    const marker = await this.#pairs[OWN]!.real.write('marker', '')
    const all = await this.#changes.until((change) => change.revision === marker.revision)
    const removed = all.slice(this.#expected.length, -1)
    expect(removed.map((change) => change.key).sort()).toEqual([...keys].sort())
    expect(new Set(removed.map((change) => change.revision)).size).toBe(keys.length > 0 ? 1 : 0)
    if (removed.length > 0) this.#lastRevision = removed[0]!.revision
    for (const { key, kind, revision } of removed) this.#expected.push({ key, kind, revision, writer: null })
    this.#log([{ key: 'marker', kind: 'write', writer: null }], marker.revision)
    this.#model.apply(this.#pairs[OWN]!.model, [{ key: 'marker', value: '' }], marker.revision)
    await this.#change(
      OWN,
      [{ key: 'marker', value: null, ifRevision: 'none', seenRevision: 'none' }],
      NO_OPTIONS,
      false,
    )
  }

  async #compareState(): Promise<void> {
    if (!this.#model.exists) return
    const fresh = await this.#store.resume(NAMESPACE)
    expect(await fresh.list()).toEqual(this.#model.keys())
    expect(await fresh.list({ reverse: true })).toEqual(this.#model.keys().reverse())
    const entries = await collect(fresh.entries())
    const found = entries.map(({ key, revision, value, writer }) => [
      key,
      revision,
      decode(value),
      writer?.writerId ?? null,
    ])
    const expected = this.#model.keys().map((key) => {
      const { revision, value, writer } = this.#model.entries.get(key)!
      return [key, revision, value, writer]
    })
    expect(found).toEqual(expected)
    expect(await collect(this.#store.namespaces())).toEqual([NAMESPACE])
  }

  /** Events and watch items are the accepted changes, in their order, with nothing between. */
  async #compareEvents(): Promise<void> {
    if (!this.#model.exists) return
    const options: StepOptions = { ...NO_OPTIONS, conflictPolicy: 'ignore' }
    await this.#change(
      OWN,
      [{ key: 'last', value: String(this.#openings), ifRevision: 'none', seenRevision: 'none' }],
      options,
      false,
    )
    const last = this.#lastRevision
    const brief_ = ({ key, kind, revision, writer }: Change): LoggedChange => ({
      key,
      kind,
      revision,
      writer: writer?.writerId ?? null,
    })
    const changes = await this.#changes.until((change) => change.revision === last)
    expect(sorted(changes.map(brief_))).toEqual(sorted(this.#expected))
    const items = await takeUntil(this.#items, (list) => list.at(-1)?.revision === last)
    expect(sorted(items.map((item) => brief_(item as Change)))).toEqual(sorted(this.#expected))
    await this.#items.return?.()
    this.#changes.stop()
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
    const current = this.#model.entries.get(key)?.revision ?? null
    if (choice === 'none') return undefined
    if (choice === 'current') return current
    if (choice === 'missing') return null
    if (choice === 'old') return this.#old.get(key) ?? 0
    return this.#lastRevision + 1000
  }

  #sessionOfNothing(): Session {
    throw new Error('the namespace exists whenever a store is opened')
  }
}

const NO_OPTIONS: StepOptions = { conflictPolicy: undefined, detect: undefined }

function pairOf(base: Session, writer: WriterId): Pair {
  const real = base.with({ writer: writer === null ? {} : { writerId: writer } })
  return { real, model: { writer, detect: 'lost-update', policy: 'ignore', seen: new Map() } }
}

function given(options: StepOptions): WriteOptions {
  return { conflictPolicy: options.conflictPolicy, detect: options.detect }
}

function toOperation({ key, value, ifRevision, seenRevision }: ModelOperation): Operation {
  return value === null
    ? { delete: key, ifRevision, seenRevision }
    : { write: key, value, ifRevision, seenRevision }
}

function single(
  real: Session,
  { key, value, ifRevision, seenRevision }: ModelOperation,
  options: StepOptions,
) {
  const all = { ...given(options), ifRevision, seenRevision }
  return value === null ? real.delete(key, all) : real.write(key, value, all)
}

function brief(conflict: Conflict): ModelConflict {
  const { key, rule, previous, previousRevision, seenRevision } = conflict
  return { key, rule, previous: previous?.writerId ?? null, previousRevision, seenRevision }
}

function decode(value: Uint8Array | null): string | null {
  return value === null ? null : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
}

/** The changes of one revision have no order among themselves where a namespace was removed. */
function sorted(changes: readonly LoggedChange[]): LoggedChange[] {
  return [...changes].sort((one, two) => one.revision - two.revision || (one.key < two.key ? -1 : 1))
}

function unexpected(error: unknown, expected: string): Error {
  return new Error(`expected ${expected}, got ${String(error)}`, { cause: error })
}
